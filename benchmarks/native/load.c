/* The load of small requests: one thread, epoll, over loopback TCP.
 *
 *   closed loop    every connection sends its next request when it has the answer of the last
 *   --rate R       open loop: request k is due at start + k/R whatever the answers do, and its
 *                  latency counts from when it was due (no coordinated omission)
 *   --close        a new connection for each request; with --rate it is opened when that is due
 *   --idle         one request on each connection, then "ready", then nothing until stdin ends
 *
 * Every answer is checked: 2xx, and the whole body. Prints one JSON object.
 */
#include "common.h"
#include <sys/epoll.h>
#include <sys/prctl.h>

struct conn {
    int fd, busy, connecting;
    size_t have, need;      /* bytes received; bytes of the whole response, 0 while unknown */
    size_t sent;
    uint64_t since;
    char buffer[4096];
};

static int port, count = 64, closing, idling, hosts;
static double seconds = 2, warm = .3, rate;
static const char *host = "bench.example", *path = "/hello";
static struct conn *conns;
static int poll_fd, *ready, ready_count, measuring;
static uint64_t done, bad_status, broken, reconnects, host_turn;
static uint64_t count_from, count_until;
#define IDLE_ABREAST 8
static int opened;

static char **requests;
static size_t *request_sizes;

static void make_requests(void) {
    int n = hosts ? hosts : 1;
    requests = calloc((size_t)n, sizeof *requests);
    request_sizes = calloc((size_t)n, sizeof *request_sizes);
    for (int i = 0; i < n; i++) {
        char name[256];
        if (hosts) snprintf(name, sizeof name, "app%d.%s", i, host);
        else snprintf(name, sizeof name, "%s", host);
        int size = asprintf(&requests[i],
            "GET %s HTTP/1.1\r\n"
            "Host: %s\r\n"
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
            "Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n"
            "Accept-Encoding: gzip, deflate, br\r\n"
            "Referer: http://bench.example/from/here\r\n"
            "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
            "Sec-Fetch-Mode: navigate\r\n"
            "%s"
            "Cache-Control: no-cache\r\n\r\n",
            path, name, closing ? "Connection: close\r\n" : "Sec-Fetch-Site: same-origin\r\n");
        if (size < 0) die("asprintf");
        request_sizes[i] = (size_t)size;
    }
}

static void watch(struct conn *c, uint32_t events, int operation) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(poll_fd, operation, c->fd, &e)) die("epoll_ctl");
}

static void open_conn(struct conn *c) {
    static int source;
    c->fd = dial(port, closing ? 2 + source++ % 8 : 1);
    c->connecting = 1;
    c->have = c->need = c->sent = 0;
    watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

static size_t current_host(void) { return hosts ? host_turn++ % (unsigned)hosts : 0; }

static void send_request(struct conn *c, uint64_t since) {
    size_t i = current_host();
    c->busy = 1;
    c->since = since;
    c->have = c->need = 0;
    ssize_t n = send(c->fd, requests[i], request_sizes[i], MSG_NOSIGNAL);
    if (n != (ssize_t)request_sizes[i]) broken++; /* half a kilobyte always fits an empty socket */
}

/* An exchange of this connection is complete. */
static void finish(struct conn *c) {
    uint64_t now = now_ns();
    c->busy = 0;
    if (measuring && c->since >= count_from) record(now - c->since);
    done++;
}

static void again(struct conn *c) {
    if (idling) {
        /* A few at a time: what a burst of requests takes is not what an idle connection takes. */
        if (opened < count) open_conn(&conns[opened++]);
    } else if (rate) ready[ready_count++] = (int)(c - conns);
    else send_request(c, now_ns());
}

static void reopen(struct conn *c, int failed) {
    close(c->fd);
    if (failed) broken++;
    else if (!closing) reconnects++;
    if (closing && rate) {
        c->busy = 0;
        ready[ready_count++] = (int)(c - conns);
        return;
    }
    c->busy = 0;
    c->since = now_ns();
    open_conn(c);
}

static void on_readable(struct conn *c) {
    ssize_t n = recv(c->fd, c->buffer + c->have, sizeof c->buffer - c->have - 1, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        /* An idle keep-alive connection may be closed at any time; one with a request may not. */
        for (int i = 0; i < ready_count; i++)
            if (ready[i] == (int)(c - conns)) ready[i--] = ready[--ready_count];
        reopen(c, c->busy);
        return;
    }
    c->have += (size_t)n;
    if (!c->need) {
        char *end = memmem(c->buffer, c->have, "\r\n\r\n", 4);
        if (!end) {
            if (c->have >= sizeof c->buffer - 1) { broken++; reopen(c, 1); }
            return;
        }
        size_t head = (size_t)(end - c->buffer) + 4;
        if (c->buffer[9] != '2') {
            if (!bad_status++)
                fprintf(stderr, "first answer that is not 2xx: %.*s\n", (int)head, c->buffer);
        }
        const char *length = header(c->buffer, head, "content-length:");
        if (!length) {
            if (!broken++)
                fprintf(stderr, "an answer without content-length: %.*s\n", (int)head, c->buffer);
            c->need = head;
        } else c->need = head + (size_t)atol(length);
    }
    if (c->have < c->need) return;
    if (c->have > c->need) broken++;
    finish(c);
    if (!closing) again(c);
}

static void on_event(struct conn *c, uint32_t events) {
    if (c->connecting) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error || events & EPOLLERR) {
            fprintf(stderr, "connect: %s\n", strerror(error));
            exit(2);
        }
        c->connecting = 0;
        watch(c, EPOLLIN, EPOLL_CTL_MOD);
        if (closing) send_request(c, c->since);
        else if (idling) send_request(c, now_ns());
        else again(c);
        return;
    }
    on_readable(c);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *o = argv[i];
        if (!strcmp(o, "--close")) closing = 1;
        else if (!strcmp(o, "--idle")) idling = 1;
        else if (i + 1 == argc) { fprintf(stderr, "%s wants a value\n", o); return 2; }
        else if (!strcmp(o, "--port")) port = atoi(argv[++i]);
        else if (!strcmp(o, "--connections")) count = atoi(argv[++i]);
        else if (!strcmp(o, "--seconds")) seconds = atof(argv[++i]);
        else if (!strcmp(o, "--warm")) warm = atof(argv[++i]);
        else if (!strcmp(o, "--rate")) rate = atof(argv[++i]);
        else if (!strcmp(o, "--host")) host = argv[++i];
        else if (!strcmp(o, "--hosts")) hosts = atoi(argv[++i]);
        else if (!strcmp(o, "--path")) path = argv[++i];
        else if (!strcmp(o, "--pid")) count_pid(argv[++i]);
        else { fprintf(stderr, "unknown option %s\n", o); return 2; }
    }
    raise_descriptor_limit();
    prctl(PR_SET_TIMERSLACK, 1);
    make_requests();
    conns = calloc((size_t)count, sizeof *conns);
    ready = calloc((size_t)count + 1, sizeof *ready);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);

    uint64_t start = now_ns();
    for (int i = 0; i < count; i++) {
        conns[i].since = start;
        if (closing && rate) ready[ready_count++] = i;
        else if (!idling || i < IDLE_ABREAST) open_conn(&conns[i]);
    }
    opened = IDLE_ABREAST;
    count_from = start + (uint64_t)(warm * 1e9);
    count_until = count_from + (uint64_t)(seconds * 1e9);
    uint64_t due = start + 50000000, step = rate ? (uint64_t)(1e9 / rate) : 0, unsent = 0;
    uint64_t done_from = 0, own_from = 0;
    struct cpu from = {0, 0, 0};
    struct epoll_event events[256];

    for (;;) {
        uint64_t now = now_ns(), wake = measuring ? count_until : count_from;
        if (idling) {
            if (done >= (uint64_t)count) {
                char byte;
                printf("ready %lu %lu\n", bad_status, broken);
                fflush(stdout);
                while (read(0, &byte, 1) > 0) {}
                return 0;
            }
            if (now - start > 60000000000u) {
                fprintf(stderr, "%lu of %d answered after a minute\n", done, count);
                return 2;
            }
            wake = now + 1000000000;
        } else if (!measuring && now >= count_from) {
            measuring = 1;
            count_from = now;
            count_until = now + (uint64_t)(seconds * 1e9);
            done_from = done;
            own_from = own_cpu_ns();
            from = cpu_of_pids();
            continue;
        } else if (measuring && now >= count_until) break;
        if (rate) {
            for (; due <= now && ready_count; due += step) {
                struct conn *c = &conns[ready[--ready_count]];
                if (!closing) { send_request(c, due); continue; }
                c->busy = 1;
                c->since = due;
                open_conn(c);
            }
            if (ready_count && due < wake) wake = due;
        }
        struct timespec left = {0, 0};
        now = now_ns();
        if (wake > now) {
            left.tv_sec = (time_t)((wake - now) / 1000000000u);
            left.tv_nsec = (long)((wake - now) % 1000000000u);
        }
        int n = epoll_pwait2(poll_fd, events, 256, &left, NULL);
        for (int i = 0; i < n; i++) on_event(events[i].data.ptr, events[i].events);
    }
    struct cpu until = cpu_of_pids();
    uint64_t end = now_ns();
    /* What was due and is not answered counts with the time that it has waited: no omission. */
    if (rate) {
        for (; due <= end; due += step, unsent++) record(end - due);
        for (int i = 0; i < count; i++)
            if (conns[i].busy && conns[i].since >= count_from) record(end - conns[i].since);
    }
    printf("{\"requests\": %lu, \"seconds\": %.6f, \"bad_status\": %lu, \"broken\": %lu, "
           "\"reconnects\": %lu, \"unsent\": %lu, \"cpu_ns\": %lu, \"user_ticks\": %lu, "
           "\"system_ticks\": %lu, \"load_cpu_ns\": %lu, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f}\n",
           done - done_from, (double)(end - count_from) / 1e9, bad_status, broken, reconnects,
           unsent, until.total_ns - from.total_ns, until.user_ticks - from.user_ticks,
           until.system_ticks - from.system_ticks, own_cpu_ns() - own_from,
           quantile_us(.5), quantile_us(.99), quantile_us(.999), quantile_us(1));
    return 0;
}
