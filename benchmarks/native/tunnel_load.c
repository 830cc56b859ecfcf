/* The load of tunnels: one thread, epoll, over loopback TCP.
 *
 *   tunnel_load --port P --host H --path /chat --connections N --size BYTES --seconds S --tls 0|1
 *               [--plain 0|1] --pid PID...
 *
 * Each connection asks for a WebSocket, and then sends a message whenever the one before has come
 * back: BYTES bytes, which are no frames of WebSocket, since no proxy looks. Over TLS by the system's
 * libssl, without its headers. With 0 seconds the connections are opened, "ready" and the CPU time
 * that this took are said, and nothing more until standard input ends; --plain 1 opens connections
 * with one request and its answer instead. Prints one JSON object.
 */
#include "common.h"
#include <dlfcn.h>
#include <sys/epoll.h>

struct conn { int fd, open; size_t sent, got; uint64_t since; void *ssl; };

static void *context;
static void *(*ssl_new)(void *);
static int (*ssl_set_fd)(void *, int), (*ssl_connect)(void *);
static int (*ssl_read)(void *, void *, int), (*ssl_write)(void *, const void *, int);

static void open_libssl(void) {
    void *library = dlopen("libssl.so.3", RTLD_NOW);
    void *(*method)(void), *(*make)(void *);
    if (!library) { fprintf(stderr, "%s\n", dlerror()); exit(2); }
    *(void **)&method = dlsym(library, "TLS_client_method");
    *(void **)&make = dlsym(library, "SSL_CTX_new");
    *(void **)&ssl_new = dlsym(library, "SSL_new");
    *(void **)&ssl_set_fd = dlsym(library, "SSL_set_fd");
    *(void **)&ssl_connect = dlsym(library, "SSL_connect");
    *(void **)&ssl_read = dlsym(library, "SSL_read");
    *(void **)&ssl_write = dlsym(library, "SSL_write");
    context = make(method());
}

static ssize_t put(struct conn *c, const void *data, size_t n, int how) {
    return c->ssl ? ssl_write(c->ssl, data, (int)n) : send(c->fd, data, n, how);
}

static ssize_t take(struct conn *c, void *into, size_t n, int how) {
    if (!c->ssl) return recv(c->fd, into, n, how);
    /* What is not whole, or is a ticket, is waited for: a message is one record. */
    int got = ssl_read(c->ssl, into, (int)n);
    if (got <= 0) { errno = EIO; return -1; }
    return got;
}

static char *message, *room;
static size_t size = 64;
static int poll_fd, measuring;
static uint64_t done, bytes;

static void ask(struct conn *c, const char *host, const char *path, int plain) {
    char text[512];
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, host, plain ? "" :
        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    if (put(c, text, (size_t)n, 0) != n) die("send");
    /* Nothing may follow until the answer is here (RFC 9931). */
    size_t have = 0;
    char head[4096];
    while (have < sizeof head && !memmem(head, have, "\r\n\r\n", 4)) {
        ssize_t got = take(c, head + have, 1, 0);
        if (got <= 0) die("no answer");
        have += (size_t)got;
    }
    if (strncmp(head, plain ? "HTTP/1.1 200" : "HTTP/1.1 101", 12)) { fprintf(stderr, "%.*s\n", (int)have, head); exit(2); }
}

static void watch(struct conn *c, unsigned events, int how) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(poll_fd, how, c->fd, &e)) die("epoll_ctl");
}

/* Send as much of the message as there is room for. */
static void push(struct conn *c) {
    while (c->sent < size) {
        ssize_t n = put(c, message + c->sent, size - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) die("send");
            if (!c->open) { c->open = 1; watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD); }
            return;
        }
        c->sent += (size_t)n;
    }
    if (c->open) { c->open = 0; watch(c, EPOLLIN, EPOLL_CTL_MOD); }
}

static void pull(struct conn *c) {
    ssize_t n = take(c, room, 1 << 20, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) die("a tunnel broke");
    c->got += (size_t)n;
    if (measuring) bytes += (uint64_t)n;
    if (c->got > size) { fprintf(stderr, "more came back than was sent\n"); exit(2); }
    if (c->got < size) return;
    if (measuring) { done++; record(now_ns() - c->since); }
    c->got = c->sent = 0;
    c->since = now_ns();
    push(c);
}

int main(int argc, char **argv) {
    int port = 0, count = 64, plain = 0;
    double seconds = 2, warm = .3;
    const char *host = "bench.example", *path = "/chat";
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (!strcmp(argv[i], "--port")) port = atoi(value);
        else if (!strcmp(argv[i], "--host")) host = value;
        else if (!strcmp(argv[i], "--path")) path = value;
        else if (!strcmp(argv[i], "--connections")) count = atoi(value);
        else if (!strcmp(argv[i], "--size")) size = strtoul(value, NULL, 10);
        else if (!strcmp(argv[i], "--seconds")) seconds = atof(value);
        else if (!strcmp(argv[i], "--plain")) plain = atoi(value);
        else if (!strcmp(argv[i], "--tls")) { if (atoi(value)) open_libssl(); }
        else if (!strcmp(argv[i], "--pid")) count_pid(value);
        else { fprintf(stderr, "unknown: %s\n", argv[i]); return 2; }
    }
    raise_descriptor_limit();
    poll_fd = epoll_create1(0);
    message = malloc(size);
    memset(message, 'x', size);
    room = malloc(1 << 20);
    struct conn *conns = calloc((size_t)count, sizeof *conns);
    struct cpu unopened = cpu_of_pids();
    for (int i = 0; i < count; i++) {
        conns[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        int on = 1;
        setsockopt(conns[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(conns[i].fd, (struct sockaddr *)&a, sizeof a)) die("connect");
        if (context) {
            conns[i].ssl = ssl_new(context);
            ssl_set_fd(conns[i].ssl, conns[i].fd);
            if (ssl_connect(conns[i].ssl) != 1) { fprintf(stderr, "no handshake\n"); exit(2); }
        }
        ask(&conns[i], host, path, plain);
        watch(&conns[i], EPOLLIN, EPOLL_CTL_ADD);
    }
    if (seconds <= 0) {
        char end;
        printf("ready %lu\n", cpu_of_pids().total_ns - unopened.total_ns);
        fflush(stdout);
        return read(0, &end, 1) < 0;
    }
    for (int i = 0; i < count; i++) { conns[i].since = now_ns(); push(&conns[i]); }
    uint64_t begin = now_ns() + (uint64_t)(warm * 1e9), end = begin + (uint64_t)(seconds * 1e9);
    struct cpu before = {0, 0, 0};
    struct epoll_event events[256];
    for (;;) {
        uint64_t now = now_ns();
        if (!measuring && now >= begin) { before = cpu_of_pids(); measuring = 1; begin = now_ns(); }
        if (now >= end) break;
        int n = epoll_wait(poll_fd, events, 256, 10);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) push(c);
            if (events[i].events & ~(unsigned)EPOLLOUT) pull(c);
        }
    }
    double took = (double)(now_ns() - begin) / 1e9;
    struct cpu after = cpu_of_pids();
    printf("{\"messages\": %lu, \"bytes\": %lu, \"seconds\": %.3f, \"cpu_ns\": %lu, \"p50_us\": %.1f, "
           "\"p99_us\": %.1f}\n", done, 2 * bytes, took, after.total_ns - before.total_ns,
           quantile_us(.5), quantile_us(.99));
    return 0;
}
