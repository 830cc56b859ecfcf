/* What the measuring programs share: clocks, the CPU time of other processes, a latency histogram.
 *
 * CPU time is read by the program that makes the load, at the very start and end of what it counts,
 * so that no request is counted whose CPU time is not, and the other way round.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <time.h>
#include <unistd.h>

#define MAX_PIDS 64

static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(2);
}

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The counted processes: given by --pid, as often as there are processes. */
static int pids[MAX_PIDS];
static int pid_count;

static inline void count_pid(const char *text) {
    if (pid_count == MAX_PIDS) { fprintf(stderr, "more than %d --pid\n", MAX_PIDS); exit(2); }
    pids[pid_count++] = atoi(text);
}

struct cpu {
    uint64_t total_ns;      /* exact: the CPU clocks of the processes, all threads */
    uint64_t user_ticks;    /* 10 ms ticks, for the share of user and system */
    uint64_t system_ticks;
};

static inline struct cpu cpu_of_pids(void) {
    struct cpu sum = {0, 0, 0};
    for (int i = 0; i < pid_count; i++) {
        clockid_t clock;
        struct timespec t;
        if (clock_getcpuclockid(pids[i], &clock) || clock_gettime(clock, &t)) {
            fprintf(stderr, "counted process %d is gone\n", pids[i]);
            exit(2);
        }
        sum.total_ns += (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
        char path[64], text[1024];
        snprintf(path, sizeof path, "/proc/%d/stat", pids[i]);
        FILE *f = fopen(path, "r");
        if (!f) die(path);
        size_t n = fread(text, 1, sizeof text - 1, f);
        fclose(f);
        text[n] = 0;
        char *after = strrchr(text, ')'); /* the name may hold blanks */
        unsigned long user, system;
        if (!after || sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                             &user, &system) != 2) {
            fprintf(stderr, "cannot read %s\n", path);
            exit(2);
        }
        sum.user_ticks += user;
        sum.system_ticks += system;
    }
    return sum;
}

static inline uint64_t own_cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Log-linear histogram of nanoseconds, better than one percent. */
#define SUB 128
static uint64_t histogram[SUB * 60];
static uint64_t histogram_count;

static inline void record(uint64_t ns) {
    unsigned index = (unsigned)ns;
    if (ns >= SUB) {
        int shift = 63 - __builtin_clzll(ns) - 7;
        index = (unsigned)(shift + 1) * SUB + (unsigned)((ns >> shift) - SUB);
    }
    histogram[index]++;
    histogram_count++;
}

/* The upper edge of the bucket that holds the quantile: never flatters. */
static inline double quantile_us(double q) {
    uint64_t wanted = (uint64_t)(q * (double)histogram_count), seen = 0;
    if (!histogram_count) return 0;
    if (wanted >= histogram_count) wanted = histogram_count - 1;
    for (unsigned i = 0; i < SUB * 60; i++) {
        seen += histogram[i];
        if (seen > wanted) {
            if (i < SUB) return (double)(i + 1) / 1e3;
            int shift = (int)(i / SUB) - 1;
            return (double)((uint64_t)(SUB + i % SUB + 1) << shift) / 1e3;
        }
    }
    return 0;
}

static inline void raise_descriptor_limit(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* A non-blocking TCP connection to loopback, under way; `source` is the last byte of 127.0.0.x. */
static inline int dial(int port, int source) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0) die("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct sockaddr_in a = {.sin_family = AF_INET};
    if (source > 1) {
        setsockopt(fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &on, sizeof on);
        a.sin_addr.s_addr = htonl(0x7f000000u + (unsigned)source);
        if (bind(fd, (struct sockaddr *)&a, sizeof a)) die("bind");
    }
    a.sin_port = htons((uint16_t)port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) && errno != EINPROGRESS) die("connect");
    return fd;
}

/* Case-insensitive search of a header in a head; returns the value, or NULL. `name` ends in ':'. */
static inline const char *header(const char *head, size_t length, const char *name) {
    size_t n = strlen(name);
    const char *end = head + length, *line = memchr(head, '\n', length);
    while (line && (size_t)(end - ++line) > n) {
        if ((*line | 32) == (*name | 32) && !strncasecmp(line, name, n)) {
            for (line += n; *line == ' '; line++) {}
            return line;
        }
        line = memchr(line, '\n', (size_t)(end - line));
    }
    return NULL;
}

#endif
