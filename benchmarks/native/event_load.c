/* The load of event streams: one thread, epoll, over loopback TCP.
 *
 *   event_load --port P --host H --path /MICROSECONDS --connections N --seconds S --pid PID...
 *
 * Each connection asks for a stream of events, and counts what comes: two line feeds end an event.
 * Prints one JSON object.
 */
#include "common.h"
#include <sys/epoll.h>

struct conn { int fd; char last; };

int main(int argc, char **argv) {
    int port = 0, count = 64;
    double seconds = 2, warm = .3;
    const char *host = "bench.example", *path = "/1000";
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (!strcmp(argv[i], "--port")) port = atoi(value);
        else if (!strcmp(argv[i], "--host")) host = value;
        else if (!strcmp(argv[i], "--path")) path = value;
        else if (!strcmp(argv[i], "--connections")) count = atoi(value);
        else if (!strcmp(argv[i], "--seconds")) seconds = atof(value);
        else if (!strcmp(argv[i], "--pid")) count_pid(value);
        else { fprintf(stderr, "unknown: %s\n", argv[i]); return 2; }
    }
    raise_descriptor_limit();
    int poll_fd = epoll_create1(0);
    static char room[1 << 16];
    struct conn *conns = calloc((size_t)count, sizeof *conns);
    for (int i = 0; i < count; i++) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        char head[4096];
        size_t have = 0;
        int fd = conns[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(fd, (struct sockaddr *)&a, sizeof a)) die("connect");
        int n = snprintf(room, sizeof room, "GET %s HTTP/1.1\r\nHost: %s\r\n"
                         "Accept: text/event-stream\r\nCache-Control: no-cache\r\n\r\n", path, host);
        if (send(fd, room, (size_t)n, 0) != n) die("send");
        while (have < sizeof head && !memmem(head, have, "\r\n\r\n", 4)) {
            if (recv(fd, head + have, 1, 0) != 1) die("no answer");
            have++;
        }
        if (strncmp(head, "HTTP/1.1 200", 12)) { fprintf(stderr, "%.*s\n", (int)have, head); exit(2); }
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &conns[i]};
        if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e)) die("epoll_ctl");
    }
    uint64_t begin = now_ns() + (uint64_t)(warm * 1e9), end = begin + (uint64_t)(seconds * 1e9);
    uint64_t done = 0, bytes = 0;
    int measuring = 0;
    struct cpu before = {0, 0, 0};
    struct epoll_event events[256];
    for (;;) {
        uint64_t now = now_ns();
        if (!measuring && now >= begin) { before = cpu_of_pids(); measuring = 1; begin = now_ns(); }
        if (now >= end) break;
        int n = epoll_wait(poll_fd, events, 256, 10);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            ssize_t got = recv(c->fd, room, sizeof room, MSG_DONTWAIT);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) die("a stream broke");
            for (ssize_t at = 0; at < got; at++) {
                if (room[at] == '\n' && c->last == '\n') done += (uint64_t)measuring;
                c->last = room[at];
            }
            if (measuring) bytes += (uint64_t)got;
        }
    }
    double took = (double)(now_ns() - begin) / 1e9;
    struct cpu after = cpu_of_pids();
    printf("{\"events\": %lu, \"bytes\": %lu, \"seconds\": %.3f, \"cpu_ns\": %lu}\n", done, bytes, took,
           after.total_ns - before.total_ns);
    return 0;
}
