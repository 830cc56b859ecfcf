/* Large bodies over loopback: some clients, each with a keep-alive connection, share a number of
 * transfers. Downloads are thrown away in the kernel (MSG_TRUNC), uploads come from memory by
 * sendfile: the client is as cheap as can be. Every answer is checked: 2xx, and all of its bytes.
 *
 *   transfer --port P --clients N --transfers T --size BYTES [--upload] [--pid P]...
 *
 * --for S repeats transfers until S seconds have gone (then finishes those under way).
 * Prints one JSON object.
 */
#include "common.h"
#include "memory.h"
#include <sys/epoll.h>
#include <sys/sendfile.h>

#define BESIDE (256u << 10) /* at once with --for: others of this core wait for a call's end */
#define READ_SIZE (1u << 20)

struct conn {
    int fd, active, answered;
    uint64_t sent, left;    /* upload: bytes sent; answer: body bytes still to come */
    size_t have;
    char head[4096];
};

static int port, clients = 1, upload, poll_fd, file;
static uint64_t transfers = 1, size, started, finished, bad_status, broken, body_bytes;
static double seconds;
static uint64_t stop_at;
static const char *host = "bench.example";

static void want(struct conn *c, uint32_t events) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

static void fail(struct conn *c, const char *what) {
    fprintf(stderr, "%s after %lu of %lu transfers; %lu of %lu bytes sent, %lu left\n", what,
            finished, transfers, c->sent, size, c->left);
    broken++;
    exit(2);
}

static void push(struct conn *c) {
    while (c->sent < size) {
        off_t from = (off_t)(c->sent % CHUNK);
        uint64_t left = size - c->sent, step = CHUNK - (uint64_t)from;
        if (seconds && step > BESIDE) step = BESIDE;
        ssize_t n = sendfile(c->fd, file, &from, left < step ? left : step);
        if (n < 0 && errno == EAGAIN) { want(c, EPOLLIN | EPOLLOUT); return; }
        if (n <= 0) fail(c, "the proxy closed during an upload");
        c->sent += (uint64_t)n;
    }
    want(c, EPOLLIN);
}

static void start(struct conn *c) {
    char text[512];
    int n;
    c->active = 0;
    if (seconds ? now_ns() >= stop_at : started >= transfers) return;
    started++;
    c->active = 1;
    c->answered = 0;
    c->sent = c->have = 0;
    c->left = 0;
    if (upload)
        n = snprintf(text, sizeof text, "PUT /upload HTTP/1.1\r\nHost: %s\r\nUser-Agent: transfer\r\n"
                     "Content-Type: application/octet-stream\r\nContent-Length: %lu\r\n\r\n",
                     host, size);
    else
        n = snprintf(text, sizeof text, "GET /bytes/%lu HTTP/1.1\r\nHost: %s\r\n"
                     "User-Agent: transfer\r\nAccept: */*\r\n\r\n", size, host);
    if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL | (upload && size ? MSG_MORE : 0)) != n)
        fail(c, "cannot send a request");
    if (upload) push(c);
}

static void on_readable(struct conn *c) {
    static char trash[READ_SIZE];
    for (;;) {
        if (!c->answered) {
            ssize_t n = recv(c->fd, c->head + c->have, sizeof c->head - c->have, 0);
            if (n < 0 && errno == EAGAIN) return;
            if (n <= 0) {
                if (c->active) fail(c, "the proxy closed");
                epoll_ctl(poll_fd, EPOLL_CTL_DEL, c->fd, NULL);
                return;
            }
            c->have += (size_t)n;
            char *end = memmem(c->head, c->have, "\r\n\r\n", 4);
            if (!end) {
                if (c->have == sizeof c->head) fail(c, "a head without end");
                continue;
            }
            size_t head = (size_t)(end - c->head) + 4;
            if (c->head[9] != '2' && !bad_status++)
                fprintf(stderr, "first answer that is not 2xx: %.*s\n", (int)head, c->head);
            const char *length = header(c->head, head, "content-length:");
            if (!length) fail(c, "an answer without content-length");
            c->left = strtoull(length, NULL, 10);
            if (!upload && c->head[9] == '2' && c->left != size) fail(c, "a wrong length");
            if (c->have - head > c->left) fail(c, "more bytes than the length says");
            c->left -= c->have - head;
            c->answered = 1;
        }
        while (c->left) {
            ssize_t n = recv(c->fd, trash, c->left < READ_SIZE ? c->left : READ_SIZE, MSG_TRUNC);
            if (n < 0 && errno == EAGAIN) return;
            if (n <= 0) fail(c, "truncated");
            c->left -= (uint64_t)n;
        }
        if (upload && c->sent < size) fail(c, "an answer before the end of the upload");
        finished++;
        body_bytes += size;
        start(c);
        if (!c->active) return;
    }
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *o = argv[i];
        if (!strcmp(o, "--upload")) upload = 1;
        else if (i + 1 == argc) { fprintf(stderr, "%s wants a value\n", o); return 2; }
        else if (!strcmp(o, "--port")) port = atoi(argv[++i]);
        else if (!strcmp(o, "--clients")) clients = atoi(argv[++i]);
        else if (!strcmp(o, "--transfers")) transfers = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(o, "--size")) size = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(o, "--for")) seconds = atof(argv[++i]);
        else if (!strcmp(o, "--host")) host = argv[++i];
        else if (!strcmp(o, "--pid")) count_pid(argv[++i]);
        else { fprintf(stderr, "unknown option %s\n", o); return 2; }
    }
    raise_descriptor_limit();
    file = memory_file('u', 0);
    if (file < 0) die("memfd");
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct conn *conns = calloc((size_t)clients, sizeof *conns);
    for (int i = 0; i < clients; i++) { /* connected before the clock starts */
        struct epoll_event e = {.events = EPOLLOUT, .data.ptr = &conns[i]}, one;
        conns[i].fd = dial(port, 1);
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, conns[i].fd, &e);
        if (epoll_wait(poll_fd, &one, 1, 5000) != 1 || one.events & EPOLLERR) {
            fprintf(stderr, "cannot connect\n");
            return 2;
        }
        want(&conns[i], EPOLLIN);
    }
    uint64_t from_ns = now_ns(), own = own_cpu_ns();
    stop_at = from_ns + (uint64_t)(seconds * 1e9);
    struct cpu from = cpu_of_pids();
    for (int i = 0; i < clients; i++) start(&conns[i]);
    struct epoll_event events[64];
    while (finished < started || (seconds ? now_ns() < stop_at : started < transfers)) {
        int n = epoll_wait(poll_fd, events, 64, 30000);
        if (n == 0) { fprintf(stderr, "nothing moved for 30 s\n"); return 2; }
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT && c->active && upload) push(c);
            if (events[i].events & ~(unsigned)EPOLLOUT) on_readable(c);
        }
    }
    struct cpu until = cpu_of_pids();
    printf("{\"transfers\": %lu, \"bytes\": %lu, \"seconds\": %.6f, \"bad_status\": %lu, "
           "\"broken\": %lu, \"cpu_ns\": %lu, \"user_ticks\": %lu, \"system_ticks\": %lu, "
           "\"load_cpu_ns\": %lu}\n",
           finished, body_bytes, (double)(now_ns() - from_ns) / 1e9, bad_status, broken,
           until.total_ns - from.total_ns, until.user_ticks - from.user_ticks,
           until.system_ticks - from.system_ticks, own_cpu_ns() - own);
    return 0;
}
