/* Clients of TLS on loopback: new connections one after the other, or many idle ones.
 *
 *     tls_clients PORT AT_ONCE TOTAL full|resumed|idle
 *
 * full, resumed: connect, shake hands, GET with Connection: close, read to the end. idle: a GET on
 * each, then "ready", and nothing more until standard input ends. One thread, epoll. Prints what
 * was done as JSON. Links with -lssl -lcrypto.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum state { SHAKING, ASKING, RESTING };

struct client {
    int fd;
    enum state state;
    int good;
    SSL *ssl;
    SSL_SESSION *session;
};

static int port, poller, total, started, done, resumed, bad;
static int idle, resume;
static SSL_CTX *context;
static struct client *clients;
static char request[512];
static int request_size;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    struct client *client = SSL_get_app_data(ssl);
    if (client->session) SSL_SESSION_free(client->session);
    client->session = session;
    return 1;
}

static void start(struct client *client) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
    int one = 1;
    if (started >= total) return;
    /* From several addresses: closed connections keep their ports for a minute. */
    from.sin_addr.s_addr = htonl(0x7f000002u + (unsigned)(started % 8));
    to.sin_addr.s_addr = htonl(0x7f000001u);
    started++;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (client->fd < 0 || bind(client->fd, (struct sockaddr *)&from, sizeof from) ||
        (connect(client->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)) {
        perror("connect");
        exit(1);
    }
    client->ssl = SSL_new(context);
    SSL_set_fd(client->ssl, client->fd);
    SSL_set_app_data(client->ssl, client);
    SSL_set_tlsext_host_name(client->ssl, "bench.example");
    if (resume && client->session) SSL_set_session(client->ssl, client->session);
    SSL_set_connect_state(client->ssl);
    client->state = SHAKING;
    client->good = 0;
    epoll_ctl(poller, EPOLL_CTL_ADD, client->fd, &event);
}

static void finish(struct client *client) {
    if (!client->good) bad++;
    if (SSL_session_reused(client->ssl)) resumed++;
    SSL_set_quiet_shutdown(client->ssl, 1);
    SSL_shutdown(client->ssl);
    SSL_free(client->ssl);
    close(client->fd);
    done++;
    start(client);
}

static int waits(struct client *client, int result) {
    int error = SSL_get_error(client->ssl, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static void step(struct client *client) {
    static char data[20000];
    int result;
    if (client->state == SHAKING) {
        result = SSL_do_handshake(client->ssl);
        if (result != 1) {
            if (!waits(client, result)) finish(client);
            return;
        }
        if (SSL_write(client->ssl, request, request_size) != request_size) {
            finish(client);
            return;
        }
        client->state = ASKING;
    }
    while (client->state == ASKING) {
        result = SSL_read(client->ssl, data, sizeof data);
        if (result <= 0) {
            if (!waits(client, result)) finish(client);
            return;
        }
        if (!strncmp(data, "HTTP/1.1 200", 12)) client->good = 1;
        if (idle) {
            client->state = RESTING;
            done++;
            if (started < total) start(&clients[started]);
        }
    }
}

int main(int count, char **words) {
    struct epoll_event events[128];
    double begin;
    int at_once, i, n;
    char byte;
    if (count != 5) {
        fprintf(stderr, "usage: tls_clients PORT AT_ONCE TOTAL full|resumed|idle\n");
        return 2;
    }
    port = atoi(words[1]);
    at_once = atoi(words[2]);
    total = atoi(words[3]);
    resume = !strcmp(words[4], "resumed");
    idle = !strcmp(words[4], "idle");
    request_size = snprintf(
        request, sizeof request,
        "GET /hello HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: tls_clients\r\n%s\r\n",
        idle ? "" : "Connection: close\r\n");
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    poller = epoll_create1(0);
    clients = calloc((size_t)(idle ? total : at_once), sizeof *clients);
    begin = now();
    for (i = 0; i < at_once && i < total; i++) start(&clients[i]);
    while (done < total) {
        n = epoll_wait(poller, events, 128, 5000);
        if (n <= 0) {
            fprintf(stderr, "nothing happens any more: %d of %d\n", done, total);
            return 1;
        }
        for (i = 0; i < n; i++) step(events[i].data.ptr);
    }
    if (idle) {
        printf("ready\n");
        fflush(stdout);
        while (read(0, &byte, 1) > 0) {
        }
        bad = 0;
    }
    printf("{\"done\": %d, \"resumed\": %d, \"bad\": %d, \"seconds\": %.4f}\n", done, resumed, bad,
           now() - begin);
    return 0;
}
