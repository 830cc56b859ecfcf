/* The cheap backend behind the peers: HTTP/1.1 with keep-alive on a unix socket, one thread, epoll.
 *
 *   GET /bytes/N             N bytes, by sendfile from memory
 *   GET anything             13 bytes
 *   PUT or POST, any length  the body is spliced to /dev/null, then 13 bytes
 *
 * Content-Length bodies alone; it trusts what the measured proxies send it.
 *
 *   backend SOCKET
 */
#include "common.h"
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/un.h>

#define CHUNK (4u << 20)
#define TURN (1u << 20) /* of a body, before other connections have their turn */

static const char hello[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";

struct conn {
    int fd, writing, closing;
    uint64_t upload;        /* bytes of a request body still to be thrown away */
    uint64_t offset, size;  /* of the response body under way */
    size_t have;
    char buffer[16384];
};

static int poll_fd, file, nowhere, pipe_fds[2];

static void drop(struct conn *c) {
    close(c->fd);
    free(c);
}

static void want(struct conn *c, int writing) {
    if (c->writing == writing) return;
    c->writing = writing;
    struct epoll_event e = {.events = writing ? EPOLLOUT : EPOLLIN, .data.ptr = c};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

/* 1: the body is out; 0: the socket is full, or others have their turn; -1: gone. */
static int push_body(struct conn *c) {
    uint64_t turn = c->offset + TURN;
    while (c->offset < c->size) {
        if (c->offset >= turn) { want(c, 1); return 0; }
        off_t from = (off_t)(c->offset % CHUNK);
        uint64_t left = c->size - c->offset, step = CHUNK - (uint64_t)from;
        ssize_t n = sendfile(c->fd, file, &from, left < step ? left : step);
        if (n < 0 && errno == EAGAIN) { want(c, 1); return 0; }
        if (n <= 0) return -1;
        c->offset += (uint64_t)n;
    }
    want(c, 0);
    return 1;
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
    uint64_t turn = c->upload > TURN ? c->upload - TURN : 0;
    while (c->upload) {
        if (c->upload <= turn && turn) return 0;
        ssize_t n = splice(c->fd, NULL, pipe_fds[1], NULL,
                           c->upload < TURN ? c->upload : TURN, SPLICE_F_NONBLOCK);
        if (n < 0 && errno == EAGAIN) return 0;
        if (n <= 0) return -1;
        c->upload -= (uint64_t)n;
        while (n > 0) {
            ssize_t m = splice(pipe_fds[0], NULL, nowhere, NULL, (size_t)n, 0);
            if (m <= 0) die("splice to /dev/null");
            n -= m;
        }
    }
    return say(c, hello, sizeof hello - 1, 0);
}

/* All complete requests in the buffer. */
static int requests(struct conn *c) {
    int r = 1;
    while (r == 1 && c->have && !c->upload) {
        char *end = memmem(c->buffer, c->have, "\r\n\r\n", 4);
        if (!end) return c->have == sizeof c->buffer ? -1 : 1;
        size_t size = (size_t)(end - c->buffer) + 4;
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

int main(int argc, char **argv) {
    if (argc != 2) { fprintf(stderr, "backend SOCKET\n"); return 2; }
    raise_descriptor_limit();
    file = memfd_create("body", MFD_CLOEXEC);
    char *bytes = malloc(CHUNK);
    for (unsigned i = 0; i < CHUNK; i++) bytes[i] = (char)('a' + i % 26);
    if (write(file, bytes, CHUNK) != CHUNK) die("memfd");
    free(bytes);
    nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere < 0 || pipe2(pipe_fds, O_CLOEXEC)) die("pipe");
    fcntl(pipe_fds[0], F_SETPIPE_SZ, 1 << 20);

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
                if (on_event(c) < 0) drop(c);
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
    }
}
