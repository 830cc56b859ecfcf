/* A guest as cheap as the peers' backend: subscribes over unix sockets and answers small requests.
 *
 *   guest SOCKET HOST SUBSCRIPTIONS ROUTES [REFUSED NAME]
 *
 * With one subscription it registers HOST; with more, subscription n registers appN.HOST, and a #
 * in SOCKET is n: as many virtual machines as subscriptions. Of the
 * routes of a subscription the first has all paths, each other one a prefix of its own. It speaks
 * docs/protocol.md as far as this takes: hello, register, request, response, ping, pong. With
 * REFUSED it refuses each request of that number, one in so many, unexecuted; NAME is that of the
 * application, of which there may so be two behind one socket.
 */
#include "common.h"
#include "netstrings.h"
#include <sys/epoll.h>
#include <sys/un.h>

#define READ_SIZE (256 * 1024)

struct conn { int fd; size_t have; char *buffer; };

static char out[READ_SIZE * 2];
static size_t out_size;
static unsigned refused, requests;
static const char *application = "bench";

static void flush_to(int fd) {
    size_t sent = 0;
    while (sent < out_size) {
        ssize_t n = send(fd, out + sent, out_size - sent, MSG_NOSIGNAL);
        if (n <= 0) die("send to the proxy");
        sent += (size_t)n;
    }
    out_size = 0;
}

/* Frames a list whose elements are ready. */
static void frame(const char *payload, size_t size) {
    out_size += wrapped(out + out_size, payload, size, ']');
}

static void hello(int index) {
    char info[512], payload[600], name[64], instance[64];
    snprintf(name, sizeof name, "%s%d", application, index);
    snprintf(instance, sizeof instance, "%d-%d", (int)getpid(), index);
    size_t n = word(info, "version");
    n += (size_t)sprintf(info + n, "1:1#");
    n += word(info + n, "application");
    n += word(info + n, name);
    n += word(info + n, "instance");
    n += word(info + n, instance);
    size_t size = word(payload, "hello");
    size += wrapped(payload + size, info, n, '}');
    frame(payload, size);
}

static void enroll(int route, const char *host) {
    char payload[512], number[16], path[64], pattern[256];
    size_t p = 0;
    for (const char *c = host; *c; c++) {
        if (*c == '.') pattern[p++] = '\\';
        pattern[p++] = *c;
    }
    pattern[p] = 0;
    if (route == 1) strcpy(path, "/.*");
    else snprintf(path, sizeof path, "/route%d/.*", route);
    snprintf(number, sizeof number, "%d", route);
    size_t n = word(payload, "register");
    n += (size_t)sprintf(payload + n, "%zu:%s#", strlen(number), number);
    n += word(payload + n, pattern);
    n += word(payload + n, path);
    frame(payload, n);
}

static void answer(const char *number, size_t size) {
    static const char rest[] = "3:200#34:30:12:content-type,10:text/plain,]]0:}13:Hello, World!,";
    char payload[256];
    size_t n = (size_t)sprintf(payload, "8:response,%zu:%.*s#", size, (int)size, number);
    memcpy(payload + n, rest, sizeof rest - 1);
    frame(payload, n + sizeof rest - 1);
}

static void refuse(const char *number, size_t size) {
    char payload[256];
    size_t n = (size_t)sprintf(payload, "5:abort,%zu:%.*s#7:refused,", size, (int)size, number);
    frame(payload, n);
}

/* One frame of the proxy: its elements are from `at` to `end`. */
static void received(const char *at, const char *end) {
    if (!strncmp(at, "7:request,", 10)) {
        const char *number = strchr(at + 10, ':');
        size_t size = (size_t)atoi(at + 10);
        if (refused && ++requests % refused == 0) refuse(number + 1, size);
        else answer(number + 1, size);
    } else if (!strncmp(at, "4:ping,", 7)) {
        char payload[256];
        size_t n = word(payload, "pong");
        if (end - at - 7 > 200) { fprintf(stderr, "a long nonce\n"); exit(2); }
        memcpy(payload + n, at + 7, (size_t)(end - at) - 7);
        frame(payload, n + (size_t)(end - at) - 7);
    } else if (!strncmp(at, "7:refused,", 10) || !strncmp(at, "3:bye,", 6)) {
        fprintf(stderr, "the proxy says %.*s\n", (int)(end - at), at);
        exit(2);
    }
}

static void on_readable(struct conn *c) {
    ssize_t n = recv(c->fd, c->buffer + c->have, READ_SIZE - c->have, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) { fprintf(stderr, "the proxy closed\n"); exit(0); }
    c->have += (size_t)n;
    size_t at = 0;
    for (;;) {
        char *colon = memchr(c->buffer + at, ':', c->have - at < 8 ? c->have - at : 8);
        if (!colon) break;
        size_t length = strtoul(c->buffer + at, NULL, 10);
        size_t whole = (size_t)(colon + 1 - (c->buffer + at)) + length + 1;
        if (c->have - at < whole) break;
        received(colon + 1, colon + 1 + length);
        at += whole;
    }
    memmove(c->buffer, c->buffer + at, c->have -= at);
    if (c->have == READ_SIZE) { fprintf(stderr, "a frame too long\n"); exit(2); }
    flush_to(c->fd);
}

int main(int argc, char **argv) {
    if (argc != 5 && argc != 7) {
        fprintf(stderr, "guest SOCKET HOST SUBSCRIPTIONS ROUTES [REFUSED NAME]\n");
        return 2;
    }
    if (argc == 7) {
        refused = (unsigned)atoi(argv[5]);
        application = argv[6];
    }
    int count = atoi(argv[3]), routes = atoi(argv[4]), poll_fd = epoll_create1(EPOLL_CLOEXEC);
    raise_descriptor_limit();
    struct conn *conns = calloc((size_t)count, sizeof *conns);
    for (int i = 0; i < count; i++) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        char host[200];
        const char *hole = strchr(argv[1], '#');
        if (hole)
            snprintf(a.sun_path, sizeof a.sun_path, "%.*s%d%s", (int)(hole - argv[1]), argv[1], i,
                     hole + 1);
        else snprintf(a.sun_path, sizeof a.sun_path, "%s", argv[1]);
        if (count > 1) snprintf(host, sizeof host, "app%d.%s", i, argv[2]);
        else snprintf(host, sizeof host, "%s", argv[2]);
        conns[i].fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        conns[i].buffer = malloc(READ_SIZE);
        for (int tries = 0; connect(conns[i].fd, (struct sockaddr *)&a, sizeof a); tries++) {
            if (tries == 1000) die(a.sun_path);
            usleep(10000); /* the proxy makes the sockets of many machines one after another */
        }
        hello(i);
        for (int route = 1; route <= routes; route++) enroll(route, host);
        flush_to(conns[i].fd);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &conns[i]};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, conns[i].fd, &e);
    }
    struct epoll_event events[256];
    for (;;) {
        int n = epoll_wait(poll_fd, events, 256, -1);
        for (int i = 0; i < n; i++) on_readable(events[i].data.ptr);
    }
}
