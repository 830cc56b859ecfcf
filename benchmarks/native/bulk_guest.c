/* A guest for large bodies, as cheap as the peers' backend: one subscription over a unix socket, and data
 * connections for what is too large to ride in a frame.
 *
 *   GET /bytes/N             N bytes, by sendfile from memory
 *   GET anything             13 bytes
 *   PUT or POST, any length  the body is spliced to /dev/null, then 13 bytes
 *
 *   bulk_guest SOCKET HOST
 *
 * It speaks docs/protocol.md as far as this takes, and trusts the proxy.
 */
#include "bodies.h"
#include "netstrings.h"
#include <sys/un.h>

#define READ_SIZE (512 * 1024)
#define INLINE_MOST 65536
#define EXCHANGES 4096  /* more than are ever under way */
#define IDLE_MOST 64

enum state { ASKING, SENDING, SENT, RECEIVING, IDLE, GONE };

/* A data connection. */
struct line {
    int fd, writing;
    enum state state;
    uint64_t number, offset, size, left;
    size_t asked, have;     /* bytes of the frame that is awaited; of it here */
    char buffer[256];
    int place;              /* among those that are sent */
    struct line *next;      /* of those that are gone */
};

static const char *where;
static int poll_fd, control;
static char out[READ_SIZE * 2], in[READ_SIZE];
static size_t out_size, in_size;
static uint64_t sizes[EXCHANGES], inline_most = INLINE_MOST, bulk;
static struct line *idle[IDLE_MOST], *gone;
static int idle_count;
static struct line *sent[EXCHANGES];
static int sent_count;

/* Frames. */

static void flush_out(void) {
    size_t sent = 0;
    while (sent < out_size) {
        ssize_t n = send(control, out + sent, out_size - sent, MSG_NOSIGNAL);
        if (n <= 0) die("send to the proxy");
        sent += (size_t)n;
    }
    out_size = 0;
}

static size_t number_to(char *to, uint64_t value) {
    char digits[24];
    int n = sprintf(digits, "%lu", value);
    return (size_t)sprintf(to, "%d:%s#", n, digits);
}

static void say(const char *payload, size_t size) {
    if (out_size + size + 16 > sizeof out) flush_out();
    out_size += wrapped(out + out_size, payload, size, ']');
}

/* One element of a frame: its payload, its tag, and what is behind it. */
struct element { const char *at, *next; size_t size; char tag; };

static struct element element(const char *at) {
    struct element e;
    char *colon;
    e.size = strtoul(at, &colon, 10);
    e.at = colon + 1;
    e.tag = e.at[e.size];
    e.next = e.at + e.size + 1;
    return e;
}

static int is(struct element e, const char *string) {
    return e.size == strlen(string) && !memcmp(e.at, string, e.size);
}

static uint64_t value(struct element e) { return strtoull(e.at, NULL, 10); }

/* What a dictionary has of that name; size 0 if nothing. */
static struct element entry(struct element dict, const char *name) {
    struct element key, item = {NULL, NULL, 0, 0};
    for (const char *at = dict.at; at < dict.at + dict.size; at = item.next) {
        key = element(at);
        item = element(key.next);
        if (is(key, name)) return item;
    }
    item.size = 0;
    return item;
}

/* Answers. */

static void respond(uint64_t number, const char *bytes, size_t size) {
    char payload[512];
    size_t n = word(payload, "response");
    n += number_to(payload + n, number);
    n += (size_t)sprintf(payload + n, "3:200#34:30:12:content-type,10:text/plain,]]0:}");
    n += text(payload + n, bytes, size);
    say(payload, n);
}

static void respond_hello(uint64_t number) { respond(number, "Hello, World!", 13); }

/* A response with `size` bytes in its frame: out of memory by sendfile, as the backend sends them. */
static void respond_body(uint64_t number, uint64_t size) {
    char payload[256];
    size_t n = word(payload, "response");
    uint64_t offset = 0;
    n += number_to(payload + n, number);
    n += (size_t)sprintf(payload + n, "3:200#48:44:12:content-type,24:application/octet-stream,]]0:}");
    n += (size_t)sprintf(payload + n, "%lu:", size);
    if (out_size + n + 64 > sizeof out) flush_out();
    out_size += (size_t)sprintf(out + out_size, "%lu:", n + size + 1);
    memcpy(out + out_size, payload, n);
    out_size += n;
    flush_out();
    for (int r = 0; r != 1;)
        if ((r = push_bytes(control, &offset, size)) < 0) die("send to the proxy");
    out[out_size++] = ',';
    out[out_size++] = ']';
    flush_out();
}

static void announce(uint64_t number, uint64_t size, int ahead) {
    char payload[256], dict[64];
    size_t d = ahead ? (size_t)sprintf(dict, "5:ahead,4:true!") : 0;
    d += word(dict + d, "length");
    d += number_to(dict + d, size);
    size_t n = word(payload, "response");
    n += number_to(payload + n, number);
    n += (size_t)sprintf(payload + n,
                         "3:200#48:44:12:content-type,24:application/octet-stream,]]0:}");
    n += wrapped(payload + n, dict, d, '}');
    say(payload, n);
    sizes[number % EXCHANGES] = size;
}

static void say_end(uint64_t number, uint64_t size) {
    char payload[128], dict[64];
    size_t d = word(dict, "length");
    d += number_to(dict + d, size);
    size_t n = word(payload, "end");
    n += number_to(payload + n, number);
    n += (size_t)sprintf(payload + n, "0:]");
    n += wrapped(payload + n, dict, d, '}');
    say(payload, n);
}

/* Data connections. */

static int dial_proxy(void) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", where);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (int tries = 0; connect(fd, (struct sockaddr *)&a, sizeof a); tries++) {
        if (tries == 1000) die(where);
        usleep(10000);
    }
    return fd;
}

static void want(struct line *l, int writing) {
    if (l->writing == writing) return;
    l->writing = writing;
    struct epoll_event e = {.events = writing ? EPOLLOUT : EPOLLIN, .data.ptr = l};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, l->fd, &e);
}

static void forget_sent(struct line *l) {
    if (l->state != SENT) return;
    sent[l->place] = sent[--sent_count];
    sent[l->place]->place = l->place;
}

static void hang_up(struct line *l) {
    forget_sent(l);
    for (int i = 0; i < idle_count; i++)
        if (idle[i] == l) idle[i] = idle[--idle_count];
    close(l->fd);
    l->state = GONE; /* there may be an event of it yet */
    l->next = gone;
    gone = l;
}

static void bury(void) {
    while (gone) {
        struct line *l = gone;
        gone = l->next;
        free(l);
    }
}

static void rest(struct line *l) {
    forget_sent(l);
    l->state = IDLE;
    l->have = 0;
    if (idle_count == IDLE_MOST) hang_up(l);
    else idle[idle_count++] = l;
}

static int push(struct line *l) {
    int r = push_bytes(l->fd, &l->offset, l->size);
    if (r < 0) return r;
    want(l, r == 0);
    if (r == 1) {
        say_end(l->number, l->size);
        l->state = SENT;
        l->have = 0;
        l->place = sent_count;
        sent[sent_count++] = l;
    }
    return 0;
}

static int swallow(struct line *l) {
    int r = swallow_bytes(l->fd, &l->left);
    if (r == 1) {
        respond_hello(l->number);
        rest(l);
    }
    return r < 0 ? r : 0;
}

/* Reads what is there of the awaited frame and no more; 1: it is whole. */
static int await(struct line *l, size_t size) {
    ssize_t n = recv(l->fd, l->buffer + l->have, size - l->have, 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) return -1;
    l->have += (size_t)n;
    return l->have == size;
}

/* Whether all that was sent on a line has come. The answer is  P:3:end,D:NUMBER#]  and nothing comes
 * behind it. */
static int hear_end(struct line *l) {
    int r = await(l, sizeof l->buffer);
    if (r >= 0 && l->have && l->buffer[l->have - 1] == ']') rest(l);
    return r;
}

/* The ends of bodies are told before the token for the next one: looked for before a line is dialled. */
static void hear_ends(void) {
    for (int i = sent_count - 1; i >= 0; i--)
        (void)hear_end(sent[i]); /* if it is gone its event tells */
}

/* Claims a token for a body: `size` bytes to send, or `left` to take. */
static void claim(uint64_t number, struct element token, uint64_t size, uint64_t left) {
    char payload[256], frame[300];
    size_t n = word(payload, "connect");
    n += number_to(payload + n, number);
    n += text(payload + n, token.at, token.size);
    n = wrapped(frame, payload, n, ']');
    struct line *l;
    if (!idle_count) hear_ends();
    if (idle_count) {
        l = idle[--idle_count];
        l->state = size ? SENDING : RECEIVING;
    } else {
        l = calloc(1, sizeof *l);
        l->fd = dial_proxy();
        fcntl(l->fd, F_SETFL, O_NONBLOCK);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = l};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, l->fd, &e);
        l->state = ASKING;
        l->asked = n;
    }
    l->number = number;
    l->offset = 0;
    l->size = size;
    l->left = left;
    if (send(l->fd, frame, n, MSG_NOSIGNAL) != (ssize_t)n) {
        hang_up(l);
        return;
    }
    if (l->state == SENDING && push(l) < 0) hang_up(l);
}

static int on_event(struct line *l) {
    int r;
    switch (l->state) {
    case ASKING:
        if ((r = await(l, l->asked)) <= 0) return r;
        l->state = l->size ? SENDING : RECEIVING;
        return l->size ? push(l) : swallow(l);
    case SENDING:
        return l->writing ? push(l) : -1;
    case RECEIVING:
        return swallow(l);
    case SENT:
        return (r = hear_end(l)) < 0 ? r : 0;
    case IDLE:
        return -1;
    case GONE:
        return 0;
    }
    return -1;
}

/* The subscription. */

static void greet(const char *host) {
    char info[512], payload[1024], instance[64], pattern[256];
    size_t p = 0;
    snprintf(instance, sizeof instance, "%d", (int)getpid());
    size_t n = word(info, "version");
    n += number_to(info + n, 1);
    n += word(info + n, "application");
    n += word(info + n, "bench");
    n += word(info + n, "instance");
    n += word(info + n, instance);
    n += word(info + n, "bulk");
    n += (size_t)sprintf(info + n, "4:true!");
    n += (size_t)sprintf(info + n, "5:ahead,4:true!");
    size_t size = word(payload, "hello");
    size += wrapped(payload + size, info, n, '}');
    say(payload, size);
    for (const char *c = host; *c; c++) {
        if (*c == '.') pattern[p++] = '\\';
        pattern[p++] = *c;
    }
    pattern[p] = 0;
    n = word(payload, "register");
    n += number_to(payload + n, 1);
    n += word(payload + n, pattern);
    n += word(payload + n, "/.*");
    say(payload, n);
    flush_out();
}

static void requested(const char *at, const char *end) {
    struct element e = element(at), target;
    uint64_t number = value(e), size;
    e = element(e.next); /* the method */
    target = element(e.next);
    e = element(target.next); /* the headers */
    e = element(e.next); /* info */
    struct element token = entry(e, "ahead");
    if (e.next < end) {
        e = element(e.next);
        if (e.tag == '}') {
            struct element length = entry(e, "length");
            claim(number, entry(e, "token"), 0, value(length));
            return;
        }
        if (e.tag == '~') { fprintf(stderr, "a body in frames\n"); exit(2); }
    }
    if (target.size < 8 || memcmp(target.at, "/bytes/", 7)) {
        respond_hello(number);
        return;
    }
    size = strtoull(target.at + 7, NULL, 10);
    if (size <= inline_most && (size < bulk || !bulk)) respond_body(number, size);
    else {
        if (token.size && !idle_count) hear_ends();
        int ahead = token.size && idle_count;
        announce(number, size, ahead);
        if (ahead) {
            flush_out(); /* the head goes first: the proxy is awake for the body then */
            claim(number, token, size, 0);
        }
    }
}

static void received(const char *at, const char *end) {
    struct element verb = element(at);
    if (is(verb, "request")) {
        requested(verb.next, end);
    } else if (is(verb, "connect")) {
        struct element number = element(verb.next);
        claim(value(number), element(number.next), sizes[value(number) % EXCHANGES], 0);
    } else if (is(verb, "ping")) {
        struct element nonce = element(verb.next);
        char payload[256];
        size_t n = word(payload, "pong");
        n += text(payload + n, nonce.at, nonce.size);
        say(payload, n);
    } else if (is(verb, "welcome")) {
        struct element info = element(verb.next), most = entry(info, "inline");
        if (most.size) inline_most = value(most);
        most = entry(info, "bulk");
        bulk = most.size ? value(most) : 0;
    } else if (is(verb, "refused") || is(verb, "bye")) {
        fprintf(stderr, "the proxy says %.*s\n", (int)(end - at), at);
        exit(2);
    }
}

static void on_control(void) {
    ssize_t n = recv(control, in + in_size, READ_SIZE - in_size, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) { fprintf(stderr, "the proxy closed\n"); exit(0); }
    in_size += (size_t)n;
    size_t at = 0;
    for (;;) {
        char *colon = memchr(in + at, ':', in_size - at < 8 ? in_size - at : 8);
        if (!colon) break;
        size_t length = strtoul(in + at, NULL, 10);
        size_t whole = (size_t)(colon + 1 - (in + at)) + length + 1;
        if (in_size - at < whole) break;
        received(colon + 1, colon + 1 + length);
        at += whole;
    }
    memmove(in, in + at, in_size -= at);
    if (in_size == READ_SIZE) { fprintf(stderr, "a frame too long\n"); exit(2); }
}

int main(int argc, char **argv) {
    if (argc != 3) { fprintf(stderr, "bulk_guest SOCKET HOST\n"); return 2; }
    where = argv[1];
    raise_descriptor_limit();
    prepare_bodies();
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    control = dial_proxy();
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, control, &e);
    greet(argv[2]);
    for (;;) {
        int n = epoll_wait(poll_fd, events, 256, -1);
        for (int i = 0; i < n; i++) {
            struct line *l = events[i].data.ptr;
            if (l && on_event(l) < 0) hang_up(l);
            /* Small requests wait for the share of one body, not for those of all. */
            on_control();
            flush_out();
        }
        bury();
    }
}
