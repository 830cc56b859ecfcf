/* How the peers' backend and subproxy's guest move bodies: out of memory by sendfile, in to nowhere by
 * splice, so many bytes a turn. One code for both, so that who is measured has the same behind it.
 */
#ifndef BENCH_BODIES_H
#define BENCH_BODIES_H

#include "common.h"
#include "memory.h"
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>

#define TURN (1u << 20) /* of a body, before other connections have their turn */

static int file, nowhere, pipe_fds[2];

static void prepare_bodies(void) {
    file = memory_file('a', 1);
    if (file < 0) die("memfd");
    nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere < 0 || pipe2(pipe_fds, O_CLOEXEC)) die("pipe");
    fcntl(pipe_fds[0], F_SETPIPE_SZ, 1 << 20);
}

/* Sends a body from `*offset` on. 1: it is out; 0: the socket is full, or others have their turn;
 * -1: gone. */
static int push_bytes(int fd, uint64_t *offset, uint64_t size) {
    uint64_t turn = *offset + TURN;
    while (*offset < size) {
        if (*offset >= turn) return 0;
        off_t from = (off_t)(*offset % CHUNK);
        uint64_t left = size - *offset, step = CHUNK - (uint64_t)from;
        ssize_t n = sendfile(fd, file, &from, left < step ? left : step);
        if (n < 0 && errno == EAGAIN) return 0;
        if (n <= 0) return -1;
        *offset += (uint64_t)n;
    }
    return 1;
}

/* Throws away what is there of `*left` bytes, for a turn. 1: all of it; 0: more to come; -1: gone. */
static int swallow_bytes(int fd, uint64_t *left) {
    uint64_t turn = *left > TURN ? *left - TURN : 0;
    while (*left) {
        if (*left <= turn && turn) return 0;
        ssize_t n = splice(fd, NULL, pipe_fds[1], NULL, *left < TURN ? *left : TURN,
                           SPLICE_F_NONBLOCK);
        if (n < 0 && errno == EAGAIN) return 0;
        if (n <= 0) return -1;
        *left -= (uint64_t)n;
        while (n > 0) {
            ssize_t m = splice(pipe_fds[0], NULL, nowhere, NULL, (size_t)n, 0);
            if (m <= 0) die("splice to /dev/null");
            n -= m;
        }
    }
    return 1;
}

#endif
