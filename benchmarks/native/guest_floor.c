/* The kernel floor of many guests: what it costs at least that each request goes to another socket.
 *
 * As floor.c, but each request is a frame to a guest (guest.c, which answers it), the guests in turn,
 * and its answer is what the client gets. All frames for a guest in a turn are one send. No routing,
 * no choice, no log, no Python: what is read is looked at for where it ends and whose it is.
 *
 *   guest_floor PORT SOCKET GUESTS
 */
#include "ring.h"
#include <sys/un.h>

#define MOST 4096       /* guests */
#define FRAME 434       /* bytes of a request with ten fields, as subproxy sends it */
#define ROOM (64 * 1024)
#define HELD 512        /* bytes of an answer's frame that came in part */

enum { GUEST = 4, ACCEPT_GUEST, SEND_GUEST };

static const char answer[] =
    "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
    "Content-Length: 13\r\nX-Request-Id: 0123456789abcdef-00000000\r\n\r\nHello, World!";

struct guest {
    int fd, full;               /* the buffer that is filled; the other one may be on its way */
    unsigned size, sending, held;
    int queued;                 /* it is among those that are sent to at the end of this turn */
    char *out[2], part[HELD];
};

static struct guest guests[MOST];
static int by_fd[65536], count, next, expected;
static struct guest *soon[MOST];
static int soon_count;

static void flush(struct guest *g) {
    if (g->sending || !g->size) return;
    struct io_uring_sqe *s = queue(IORING_OP_SEND, g->fd, SEND_GUEST);
    s->addr = (uint64_t)g->out[g->full];
    s->len = g->sending = g->size;
    s->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
    g->full ^= 1;
    g->size = 0;
}

/* One frame: its number is the client's descriptor, the rest is filled up. */
static void ask(int client) {
    struct guest *g = &guests[next];
    next = (next + 1) % count;
    if (g->size + FRAME + 16 > ROOM) { fprintf(stderr, "a guest that does not read\n"); exit(2); }
    char *o = g->out[g->full] + g->size, number[16];
    int digits = snprintf(number, sizeof number, "%d", client);
    int n = sprintf(o, "%d:7:request,%d:%s#", FRAME, digits, number);
    int begin = 4; /* of the payload: three digits and a colon */
    memset(o + n, 'x', (size_t)(begin + FRAME - n));
    o[begin + FRAME] = ']';
    g->size += (unsigned)(begin + FRAME + 1);
    if (!g->queued) {
        g->queued = 1;
        soon[soon_count++] = g;
    }
}

/* Whole frames of a guest: answers are passed on. Returns how many bytes that was. */
static unsigned walk(const char *bytes, unsigned size) {
    unsigned at = 0;
    for (;;) {
        const char *colon = memchr(bytes + at, ':', size - at < 8 ? size - at : 8);
        if (!colon) return at;
        unsigned length = (unsigned)strtoul(bytes + at, NULL, 10);
        unsigned whole = (unsigned)(colon + 1 - (bytes + at)) + length + 1;
        if (size - at < whole) return at;
        if (!strncmp(colon + 1, "8:response,", 11)) {
            int client = atoi(strchr(colon + 12, ':') + 1);
            struct io_uring_sqe *s = queue(IORING_OP_SEND, client, SEND);
            s->addr = (uint64_t)answer;
            s->len = sizeof answer - 1;
            s->msg_flags = MSG_NOSIGNAL;
        }
        at += whole;
    }
}

static void guest_said(struct guest *g, const char *bytes, unsigned size) {
    char joined[BUFFER_SIZE + HELD + 1];
    if (g->held) {
        memcpy(joined, g->part, g->held);
        memcpy(joined + g->held, bytes, size);
        bytes = joined;
        size += g->held;
    }
    unsigned done = walk(bytes, size);
    g->held = size - done;
    if (g->held > HELD) { g->held = 0; return; } /* of what it registers, nothing is wanted */
    memcpy(g->part, bytes + done, g->held);
}

static void on_received(const struct io_uring_cqe *c, int fd, struct guest *g) {
    if (c->res <= 0 || !(c->flags & IORING_CQE_F_BUFFER)) {
        if (c->res != -ENOBUFS) {
            if (g) exit(0);
            queue(IORING_OP_CLOSE, fd, CLOSE);
            return;
        }
    } else {
        unsigned id = c->flags >> IORING_CQE_BUFFER_SHIFT;
        const char *bytes = memory + (size_t)id * BUFFER_SIZE;
        if (g) guest_said(g, bytes, (unsigned)c->res);
        else if (c->res >= 4 && !memcmp(bytes + c->res - 4, "\r\n\r\n", 4)) ask(fd);
        give_back(id);
    }
    if (more_to_come(c)) return;
    receive(fd);
    if (g) sqes[(*sq_tail - 1) & *sq_mask].user_data = (uint64_t)fd << 8 | GUEST;
}

static void new_guest(int fd) {
    struct guest *g = &guests[count];
    by_fd[fd] = count++;
    g->fd = fd;
    g->out[0] = malloc(ROOM);
    g->out[1] = malloc(ROOM);
    receive(fd);
    sqes[(*sq_tail - 1) & *sq_mask].user_data = (uint64_t)fd << 8 | GUEST;
}

static void deal(const struct io_uring_cqe *c, int fd) {
    switch (c->user_data & 255) {
    case ACCEPT:
        if (c->res >= 0) {
            no_delay(c->res);
            receive(c->res);
        }
        if (!more_to_come(c)) accept_all(fd);
        break;
    case ACCEPT_GUEST:
        if (c->res >= 0 && count < expected) new_guest(c->res);
        queue(IORING_OP_ACCEPT, fd, ACCEPT_GUEST);
        break;
    case RECEIVE: on_received(c, fd, NULL); break;
    case GUEST: on_received(c, fd, &guests[by_fd[fd]]); break;
    case SEND_GUEST:
        guests[by_fd[fd]].sending = 0;
        flush(&guests[by_fd[fd]]);
        break;
    case SEND: case CLOSE: break;
    }
}

int main(int argc, char **argv) {
    if (argc != 4) { fprintf(stderr, "guest_floor PORT SOCKET GUESTS\n"); return 2; }
    raise_descriptor_limit();
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", argv[2]);
    expected = atoi(argv[3]);
    int guests_here = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (expected > MOST || bind(guests_here, (struct sockaddr *)&a, sizeof a)
        || listen(guests_here, 4096)) die(argv[2]);
    set_up();
    queue(IORING_OP_ACCEPT, guests_here, ACCEPT_GUEST);
    while (count < expected) turn(deal);
    accept_all(loopback_listener(atoi(argv[1])));
    for (;;) {
        turn(deal);
        for (int i = 0; i < soon_count; i++) {
            soon[i]->queued = 0;
            flush(soon[i]);
        }
        soon_count = 0;
    }
}
