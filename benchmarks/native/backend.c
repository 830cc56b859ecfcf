/* The cheap backend behind the peers: HTTP/1.1 with keep-alive on a unix socket, one thread, epoll.
 *
 *   GET /bytes/N             N bytes, by sendfile from memory
 *   GET anything             13 bytes
 *   PUT or POST, any length  the body is spliced to /dev/null, then 13 bytes
 *
 * Content-Length bodies alone; it trusts what the measured proxies send it.
 *
 *   backend SOCKET [FAILED]
 *
 * With FAILED it closes the connection without an answer at each request of that number, one in so
 * many.
 */
#include "bodies.h"
#include <sys/un.h>

static const char hello[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";

struct conn {
    int fd, writing, closing, gone;
    struct conn *next;      /* of those that are gone */
    uint64_t upload;        /* bytes of a request body still to be thrown away */
    uint64_t offset, size;  /* of the response body under way */
    size_t have;
    char buffer[16384];
};

static int poll_fd;
static struct conn *gone;
static unsigned failed, asked;

static void drop(struct conn *c) {
    close(c->fd);
    c->gone = 1; /* there may be an event of it yet */
    c->next = gone;
    gone = c;
}

static void want(struct conn *c, int writing) {
    if (c->writing == writing) return;
    c->writing = writing;
    struct epoll_event e = {.events = writing ? EPOLLOUT : EPOLLIN, .data.ptr = c};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

/* 1: the body is out; 0: the socket is full, or others have their turn; -1: gone. */
static int push_body(struct conn *c) {
    int r = push_bytes(c->fd, &c->offset, c->size);
    if (r >= 0) want(c, r == 0);
    return r;
}

static int say(struct conn *c, const char *bytes, size_t size, int flags) {
    return send(c->fd, bytes, size, MSG_NOSIGNAL | flags) == (ssize_t)size ? 1 : -1;
}

/* Answers one request whose head is `size` bytes at `head`. */
static int answer(struct conn *c, const char *head, size_t size) {
    const char *length = header(head, size, "content-length:");
    const char *connection = header(head, size, "connection:");
    c->closing = connection && !strncasecmp(connection, "close", 5);
    if (length && (c->upload = strtoull(length, NULL, 10))) return 1;
    if (!strncmp(head, "GET /bytes/", 11)) {
        char text[160];
        c->offset = 0;
        c->size = strtoull(head + 11, NULL, 10);
        int n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Type: "
            "application/octet-stream\r\nContent-Length: %lu\r\n\r\n", c->size);
        if (say(c, text, (size_t)n, MSG_MORE) < 0) return -1;
        return push_body(c);
    }
    return say(c, hello, sizeof hello - 1, 0);
}

/* Throws away what is there of an upload, for a turn. 1: all of it; 0: more to come; -1: gone. */
static int swallow(struct conn *c) {
    size_t here = c->have < c->upload ? c->have : (size_t)c->upload;
    memmove(c->buffer, c->buffer + here, c->have -= here);
    c->upload -= here;
    int r = swallow_bytes(c->fd, &c->upload);
    if (r <= 0) return r;
    return say(c, hello, sizeof hello - 1, 0);
}

/* All complete requests in the buffer. */
static int requests(struct conn *c) {
    int r = 1;
    while (r == 1 && c->have && !c->upload) {
        char *end = memmem(c->buffer, c->have, "\r\n\r\n", 4);
        if (!end) return c->have == sizeof c->buffer ? -1 : 1;
        size_t size = (size_t)(end - c->buffer) + 4;
        if (failed && ++asked % failed == 0) return -1;
        r = answer(c, c->buffer, size);
        memmove(c->buffer, c->buffer + size, c->have -= size);
        if (r == 1 && c->upload) r = swallow(c);
        if (r == 1 && c->closing) return -1;
    }
    return r;
}

static int on_event(struct conn *c) {
    if (c->writing) {
        int r = push_body(c);
        if (r < 0 || (r == 1 && c->closing)) return -1;
        return r == 1 ? requests(c) : r;
    }
    if (c->upload) {
        int r = swallow(c);
        if (r < 0 || (r == 1 && c->closing)) return -1;
        return r == 1 ? requests(c) : r;
    }
    ssize_t n = recv(c->fd, c->buffer + c->have, sizeof c->buffer - c->have, 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) return -1;
    c->have += (size_t)n;
    return requests(c);
}

/* Small requests wait for the share of one body, not for those of all. */
static void serve_small(void) {
    struct epoll_event events[64];
    int n = epoll_wait(poll_fd, events, 64, 0);
    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;
        if (c && !c->gone && !c->writing && !c->upload && on_event(c) < 0) drop(c);
    }
}

int main(int argc, char **argv) {
    if (argc != 2 && argc != 3) { fprintf(stderr, "backend SOCKET [FAILED]\n"); return 2; }
    if (argc == 3) failed = (unsigned)atoi(argv[2]);
    raise_descriptor_limit();
    prepare_bodies();

    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", argv[1]);
    unlink(argv[1]);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) || listen(listener, 4096)) die(argv[1]);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(poll_fd, events, 256, -1);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (c) {
                int large = c->writing || c->upload;
                if (!c->gone && on_event(c) < 0) drop(c);
                if (large && n > 1) serve_small();
                continue;
            }
            int fd;
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                c = calloc(1, sizeof *c);
                c->fd = fd;
                e.events = EPOLLIN;
                e.data.ptr = c;
                epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e);
            }
        }
        while (gone) {
            struct conn *c = gone;
            gone = c->next;
            free(c);
        }
    }
}
