/* What is behind a proxy of tunnels, as cheap as it can be: it sends back what comes.
 *
 *   tunnel_echo backend SOCKET       an HTTP server on a unix socket, for nginx and HAProxy
 *   tunnel_echo guest SOCKET HOST    a guest of subproxy: in frames, and for the path /bulk over a
 *                                    data connection from the start
 */
#include "common.h"
#include "netstrings.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/un.h>

#define SIZE (256 * 1024)
#define NUMBERS 65536

enum kind { LISTENING, HEAD, RAW, FRAMES, CLAIMING };
struct conn { int fd; enum kind kind; size_t have; char *buffer; };

static int poll_fd;
static const char *path;
static char out[2 * SIZE];
static size_t out_size;
static size_t owed[NUMBERS];

static void send_all(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            poll(&p, 1, 1000);
            continue;
        }
        if (n <= 0) return;
        data += n;
        size -= (size_t)n;
    }
}

static struct conn *add(int fd, enum kind kind) {
    struct conn *c = calloc(1, sizeof *c);
    c->fd = fd;
    c->kind = kind;
    c->buffer = malloc(SIZE);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e)) die("epoll_ctl");
    return c;
}

static struct sockaddr_un address(void) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strncpy(a.sun_path, path, sizeof a.sun_path - 1);
    return a;
}

static int connected(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un a = address();
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a)) die(path);
    return fd;
}

static void drop(struct conn *c) {
    close(c->fd);
    free(c->buffer);
    free(c);
}

static void frame(const char *payload, size_t size) {
    out_size += wrapped(out + out_size, payload, size, ']');
}

static size_t integer(char *to, size_t value) {
    char digits[24];
    int n = sprintf(digits, "%zu", value);
    return wrapped(to, digits, (size_t)n, '#');
}

/* The element at `*at`: its payload; `*at` is behind it then. */
static const char *element(const char **at, size_t *size) {
    char *colon;
    *size = strtoul(*at, &colon, 10);
    *at = colon + 1 + *size + 1;
    return colon + 1;
}

static void credit(size_t number, size_t amount) {
    char payload[64];
    size_t n = word(payload, "credit");
    n += integer(payload + n, number);
    n += integer(payload + n, amount);
    frame(payload, n);
}

static void claim(const char *whole, size_t size) {
    char claimed[256];
    int fd = connected();
    size_t n = wrapped(claimed, whole, size, ']');
    send_all(fd, claimed, n);
    add(fd, CLAIMING);
}

/* One frame of the proxy. */
static void came(const char *payload, size_t whole) {
    const char *at = payload;
    size_t size, digits;
    const char *verb = element(&at, &size);
    if (size == 4 && !memcmp(verb, "ping", 4)) {
        char said[256];
        size_t n = word(said, "pong");
        size_t rest = whole - (size_t)(at - payload);
        memcpy(said + n, at, rest);
        frame(said, n + rest);
        return;
    }
    if (size == 7 && !memcmp(verb, "connect", 7)) { claim(payload, whole); return; }
    if (size == 3 && !memcmp(verb, "end", 3)) {
        char said[256];
        size_t number = strtoul(element(&at, &digits), NULL, 10);
        size_t n = word(said, "end");
        n += integer(said + n, number);
        frame(said, n);
        return;
    }
    if (size == 7 && !memcmp(verb, "request", 7)) {
        char said[128];
        size_t number = strtoul(element(&at, &digits), NULL, 10);
        element(&at, &size);
        const char *target = element(&at, &size);
        int bulk = size == 5 && !memcmp(target, "/bulk", 5);
        size_t n = word(said, "response");
        n += integer(said + n, number);
        n += (size_t)sprintf(said + n, "3:200#0:]0:}%s", bulk ? "0:}" : "0:~");
        frame(said, n);
        if (!bulk) credit(number, 65536);
        return;
    }
    if (size == 4 && !memcmp(verb, "body", 4)) {
        size_t number = strtoul(element(&at, &digits), NULL, 10);
        element(&at, &size);
        /* The same frame goes back. */
        out_size += wrapped(out + out_size, payload, whole, ']');
        size_t *due = &owed[number % NUMBERS];
        *due += size;
        if (*due >= 32768) { credit(number, *due); *due = 0; }
    }
}

static void frames(struct conn *c) {
    size_t at = 0;
    for (;;) {
        char *colon = memchr(c->buffer + at, ':', c->have - at);
        if (!colon) break;
        size_t size = strtoul(c->buffer + at, NULL, 10), head = (size_t)(colon + 1 - c->buffer);
        if (head + size + 1 > c->have) break;
        if (c->kind == CLAIMING) {
            /* The answer; what follows is raw. */
            size_t rest = c->have - head - size - 1;
            c->kind = RAW;
            send_all(c->fd, c->buffer + head + size + 1, rest);
            c->have = 0;
            return;
        }
        came(c->buffer + head, size);
        at = head + size + 1;
        if (out_size > SIZE / 2) { send_all(c->fd, out, out_size); out_size = 0; }
    }
    memmove(c->buffer, c->buffer + at, c->have - at);
    c->have -= at;
    if (out_size) { send_all(c->fd, out, out_size); out_size = 0; }
}

static void readable(struct conn *c) {
    if (c->kind == LISTENING) {
        int fd = accept(c->fd, NULL, NULL);
        if (fd >= 0) add(fd, HEAD);
        return;
    }
    ssize_t n = recv(c->fd, c->buffer + c->have, SIZE - c->have, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) { drop(c); return; }
    if (c->kind == RAW) { send_all(c->fd, c->buffer, (size_t)n); return; }
    c->have += (size_t)n;
    if (c->kind == HEAD) {
        static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        if (!memmem(c->buffer, c->have, "\r\n\r\n", 4)) return;
        c->have = 0;
        c->kind = RAW;
        send_all(c->fd, answer, sizeof answer - 1);
        return;
    }
    frames(c);
}

static void hello(int fd, const char *host) {
    static const char info[] = "7:version,1:1#11:application,4:echo,8:instance,1:i,4:bulk,4:true!"
        "6:tunnel,12:9:websocket,]";
    char payload[512], pattern[256];
    size_t p = 0, n = word(payload, "hello");
    n += wrapped(payload + n, info, sizeof info - 1, '}');
    frame(payload, n);
    for (const char *c = host; *c; c++) {
        if (*c == '.') pattern[p++] = '\\';
        pattern[p++] = *c;
    }
    pattern[p] = 0;
    n = word(payload, "register");
    n += integer(payload + n, 1);
    n += word(payload + n, pattern);
    n += word(payload + n, "/.*");
    frame(payload, n);
    send_all(fd, out, out_size);
    out_size = 0;
}

int main(int argc, char **argv) {
    if (argc < 3) { fprintf(stderr, "tunnel_echo backend|guest SOCKET [HOST]\n"); return 2; }
    raise_descriptor_limit();
    poll_fd = epoll_create1(0);
    path = argv[2];
    if (!strcmp(argv[1], "backend")) {
        struct sockaddr_un a = address();
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096)) die(path);
        add(fd, LISTENING);
    } else {
        int fd = connected();
        add(fd, FRAMES);
        hello(fd, argv[3]);
    }
    struct epoll_event events[64];
    for (;;) {
        int n = epoll_wait(poll_fd, events, 64, -1);
        for (int i = 0; i < n; i++) readable(events[i].data.ptr);
    }
}
