/* What is behind a proxy of event streams, as cheap as it can be: each GET is answered by a stream
 * without an end, to each of which an event is sent every so often, to all at once.
 *
 *   event_source backend SOCKET SIZE         an HTTP server on a unix socket, for HAProxy and nginx
 *   event_source guest SOCKET SIZE HOST      a guest of subproxy, in frames, by the credit that it has
 *
 * How often is what a request asks for: GET /MICROSECONDS; that of the last one holds.
 */
#include "common.h"
#include "netstrings.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#define ROOM (256 * 1024)
#define STREAMS 4096

struct conn { int fd, listens, streams; size_t have; char *buffer; };
struct stream { int fd; size_t number, credit; };

static int poll_fd, timer_fd, is_guest, guest_fd;
static const char *path;
static struct stream streams[STREAMS];
static size_t stream_count, event_size, out_size;
static char event[65536], out[2 * ROOM];

static int send_all(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (n <= 0) return 0;
        data += n;
        size -= (size_t)n;
    }
    return 1;
}

static void add(int fd, int listens) {
    struct conn *c = calloc(1, sizeof *c);
    c->fd = fd;
    c->listens = listens;
    c->buffer = malloc(ROOM);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e)) die("epoll_ctl");
}

static void every(long microseconds) {
    struct itimerspec t = {{0, microseconds * 1000}, {0, microseconds * 1000}};
    t.it_interval.tv_sec = t.it_value.tv_sec = microseconds / 1000000;
    t.it_interval.tv_nsec = t.it_value.tv_nsec = microseconds % 1000000 * 1000;
    if (timerfd_settime(timer_fd, 0, &t, NULL)) die("timerfd_settime");
}

static void begin(int fd, size_t number, size_t credit) {
    if (stream_count == STREAMS) { fprintf(stderr, "too many streams\n"); exit(2); }
    streams[stream_count++] = (struct stream){fd, number, credit};
}

static void end(size_t index) { streams[index] = streams[--stream_count]; }

static size_t integer(char *to, size_t value) {
    char digits[24];
    int n = sprintf(digits, "%zu", value);
    return wrapped(to, digits, (size_t)n, '#');
}

static void flush_out(void) {
    if (out_size && !send_all(guest_fd, out, out_size)) exit(0);
    out_size = 0;
}

static void frame(const char *payload, size_t size) {
    out_size += wrapped(out + out_size, payload, size, ']');
}

/* The element at `*at`: its payload; `*at` is behind it then. */
static const char *element(const char **at, size_t *size) {
    char *colon;
    *size = strtoul(*at, &colon, 10);
    *at = colon + 1 + *size + 1;
    return colon + 1;
}

/* An event to every stream. */
static void tick(void) {
    static char payload[ROOM];
    for (size_t i = 0; i < stream_count; i++) {
        struct stream *s = &streams[i];
        if (!is_guest) {
            size_t n = (size_t)sprintf(payload, "%zx\r\n", event_size);
            memcpy(payload + n, event, event_size);
            memcpy(payload + n + event_size, "\r\n", 2);
            if (!send_all(s->fd, payload, n + event_size + 2)) end(i--);
            continue;
        }
        if (s->credit < event_size) continue;
        s->credit -= event_size;
        size_t n = word(payload, "body");
        n += integer(payload + n, s->number);
        n += wrapped(payload + n, event, event_size, ',');
        frame(payload, n);
        if (out_size > ROOM) flush_out();
    }
    flush_out();
}

/* One frame of the proxy. */
static void came(const char *payload, size_t whole) {
    const char *at = payload;
    size_t size, digits;
    char said[512];
    const char *verb = element(&at, &size);
    if (size == 4 && !memcmp(verb, "ping", 4)) {
        size_t n = word(said, "pong"), rest = whole - (size_t)(at - payload);
        memcpy(said + n, at, rest);
        frame(said, n + rest);
        return;
    }
    int asks = size == 7 && !memcmp(verb, "request", 7), grants = size == 6 && !memcmp(verb, "credit", 6);
    int gives_up = size == 5 && !memcmp(verb, "abort", 5);
    if (!asks && !grants && !gives_up) return;
    size_t number = strtoul(element(&at, &digits), NULL, 10);
    if (asks) {
        static const char fields[] = "12:content-type,17:text/event-stream,";
        element(&at, &size);
        every(atol(element(&at, &size) + 1));
        size_t n = word(said, "response"), pair;
        char field[128];
        n += integer(said + n, number);
        n += integer(said + n, 200);
        pair = wrapped(field, fields, sizeof fields - 1, ']');
        n += wrapped(said + n, field, pair, ']');
        n += (size_t)sprintf(said + n, "0:}0:~");
        frame(said, n);
        begin(0, number, 65536);
    }
    for (size_t i = 0; i < stream_count; i++) {
        if (streams[i].number != number) continue;
        if (grants) streams[i].credit += strtoul(element(&at, &digits), NULL, 10);
        if (gives_up) end(i);
        break;
    }
}

static void frames(struct conn *c) {
    size_t at = 0;
    for (;;) {
        char *colon = memchr(c->buffer + at, ':', c->have - at);
        if (!colon) break;
        size_t size = strtoul(c->buffer + at, NULL, 10), head = (size_t)(colon + 1 - c->buffer);
        if (head + size + 1 > c->have) break;
        came(c->buffer + head, size);
        at = head + size + 1;
    }
    memmove(c->buffer, c->buffer + at, c->have - at);
    c->have -= at;
    flush_out();
}

static void readable(struct conn *c) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        "Transfer-Encoding: chunked\r\n\r\n";
    if (c->listens) {
        int fd = accept(c->fd, NULL, NULL);
        if (fd >= 0) add(fd, 0);
        return;
    }
    ssize_t n = recv(c->fd, c->buffer + c->have, ROOM - c->have, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        for (size_t i = 0; i < stream_count; i++) if (streams[i].fd == c->fd) end(i--);
        close(c->fd);
        free(c->buffer);
        free(c);
        return;
    }
    c->have += (size_t)n;
    if (is_guest) { frames(c); return; }
    if (!memmem(c->buffer, c->have, "\r\n\r\n", 4)) return;
    every(atol(c->buffer + strlen("GET /")));
    c->have = 0;
    if (send_all(c->fd, head, sizeof head - 1)) begin(c->fd, 0, 0);
}

static void hello(const char *host) {
    static const char info[] = "7:version,1:1#11:application,6:events,8:instance,1:i,";
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
    flush_out();
}

int main(int argc, char **argv) {
    if (argc < 4) { fprintf(stderr, "event_source backend|guest SOCKET SIZE [HOST]\n"); return 2; }
    raise_descriptor_limit();
    poll_fd = epoll_create1(0);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, timer_fd, &e)) die("epoll_ctl");
    path = argv[2];
    event_size = strtoul(argv[3], NULL, 10);
    memset(event, 'x', event_size);
    memcpy(event, "data: ", 6);
    memcpy(event + event_size - 2, "\n\n", 2);
    is_guest = !strcmp(argv[1], "guest");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strncpy(a.sun_path, path, sizeof a.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (is_guest) {
        if (connect(fd, (struct sockaddr *)&a, sizeof a)) die(path);
        guest_fd = fd;
        add(fd, 0);
        hello(argv[4]);
    } else {
        if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096)) die(path);
        add(fd, 1);
    }
    struct epoll_event events[64];
    for (;;) {
        int n = epoll_wait(poll_fd, events, 64, -1);
        for (int i = 0; i < n; i++) {
            uint64_t ticks;
            if (events[i].data.ptr) readable(events[i].data.ptr);
            else if (read(timer_fd, &ticks, sizeof ticks) > 0) tick();
        }
    }
}
