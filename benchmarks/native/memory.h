/* What bodies are sent from: memory as a file, in large pages where the system allows that.
 *
 * sendfile puts pages into a socket's buffers as they lie in memory: neighbours go as one piece of up
 * to 64 KiB, others as 4 KiB each, and whoever splices them on pays for each piece. Where small pages
 * come to lie is a matter of luck, which a process then has for all its life: of 1,024 that were
 * written in a row from 444 to 841 began a new piece.
 */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHUNK (4u << 20)

/* CHUNK bytes, each `letter` and the 25 after it in turn if `turns`; below zero: none to be had. */
static int memory_file(char letter, int turns) {
    int fd = memfd_create("body", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, CHUNK)) return -1;
    char *bytes = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) return -1;
    (void)madvise(bytes, CHUNK, MADV_HUGEPAGE); /* may be refused: then as it comes */
    for (unsigned i = 0; i < CHUNK; i++) bytes[i] = (char)(letter + (turns ? i % 26 : 0));
    munmap(bytes, CHUNK);
    return fd;
}

#endif
