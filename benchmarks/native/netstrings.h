/* Typed netstrings, as far as guests that measure write them. Each function appends to `to`, and returns
 * how many bytes that were.
 */
#ifndef BENCH_NETSTRINGS_H
#define BENCH_NETSTRINGS_H

#include <stdio.h>
#include <string.h>

/* Anything: a list (]) or a dictionary (}) whose elements are ready, a byte string (,). */
static inline size_t wrapped(char *to, const char *payload, size_t size, char tag) {
    size_t n = (size_t)sprintf(to, "%zu:", size);
    memcpy(to + n, payload, size);
    to[n + size] = tag;
    return n + size + 1;
}

static inline size_t text(char *to, const char *bytes, size_t size) {
    return wrapped(to, bytes, size, ',');
}

static inline size_t word(char *to, const char *string) { return text(to, string, strlen(string)); }

#endif
