/*
 * Connect to a server and leave it, in each of six ways by turns:
 *
 *     churn PORT COUNT
 *
 * lose, abort, pause: the word is sent, and the server does what it says; reset: both at once;
 * close: the server answers and the client closes; blind: nothing is sent, and reset.
 * Each connection comes from one of many addresses, so that ports don't run out.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

static const char *const words[] = {"lose", "abort", "reset", "pause", "close", "blind"};

static void check(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    struct sockaddr_in own = {.sin_family = AF_INET};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    long count = atol(argv[2]);
    for (long i = 0; i < count; i++) {
        const char *word = words[i % 6];
        char answer[4096];
        int one = 1, blind = *word == 'b';
        struct linger reset = {1, 0};
        struct timeval limit = {20, 0};
        int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        check(peer >= 0, "socket");
        own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + i % 200);
        setsockopt(peer, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        check(!bind(peer, (struct sockaddr *)&own, sizeof own), "bind");
        check(!connect(peer, (struct sockaddr *)&server, sizeof server), "connect");
        if (blind || *word == 'r')
            setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        if (!blind) {
            size_t size = strlen(word), got = 0;
            ssize_t more;
            check(send(peer, word, size, MSG_NOSIGNAL) == (ssize_t)size, "send");
            if (*word == 'l') {
                while ((more = recv(peer, answer, sizeof answer, 0)) > 0)
                    got += more;
                check(!more && got == 100 * size, "what the server sent before it closed");
            } else if (*word != 'a') {
                check(recv(peer, answer, 10, 0) > 0, "recv");
            }
        }
        close(peer);
    }
    return 0;
}
