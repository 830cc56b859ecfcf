/* What a frame is read by: an item of a tnetstring, and a number. */
#ifndef SUBPROXY_FAST_FRAMES_H
#define SUBPROXY_FAST_FRAMES_H

#include "fast.h"

enum {
    LENGTH_DIGITS = 7, /* subproxy.wire.limits.MAX_LENGTH_DIGITS */
    /* What stands in the place of the length of a frame: */
    NO_FRAME = -1,
    INCOMPLETE = -2
};

/* The payload's length of the frame at `data`; or NO_FRAME, or INCOMPLETE as far as that is known. */
static inline Py_ssize_t frame_length(
    const u8 *data, const u8 *end, Py_ssize_t limit, const u8 **payload
) {
    const u8 *p = data;
    Py_ssize_t length = 0;
    unsigned digit;
    while (p < end && (digit = (unsigned)*p - '0') <= 9) {
        length = length * 10 + (Py_ssize_t)digit;
        p++;
        if (p - data > LENGTH_DIGITS) return NO_FRAME;
    }
    if (p - data > 1 && *data == '0') return NO_FRAME;
    if (p >= end) return INCOMPLETE;
    if (p == data || *p != ':' || length > limit) return NO_FRAME;
    *payload = p + 1;
    return length;
}

/* The value at `p`, if it has that tag and its length is spelled as it must be; else NULL. */
static inline __attribute__((always_inline))
const u8 *item(const u8 *p, const u8 *end, u8 tag, Py_ssize_t *size) {
    const u8 *begin = p;
    Py_ssize_t length = 0;
    unsigned digit;
    while (p < end && (digit = (unsigned)*p - '0') <= 9) {
        length = length * 10 + (Py_ssize_t)digit;
        p++;
        if (p - begin > LENGTH_DIGITS) return NULL;
    }
    if (p == begin || p >= end || *p != ':' || (*begin == '0' && p - begin > 1)) return NULL;
    p++;
    if (end - p <= length || p[length] != tag) return NULL;
    *size = length;
    return p;
}

/* A number from 0 in its shortest form, of at most 15 digits; else -1. */
static inline int64_t integer(const u8 *p, Py_ssize_t size) {
    int64_t n = 0;
    Py_ssize_t i;
    if (size == 0 || size > 15 || (*p == '0' && size > 1)) return -1;
    for (i = 0; i < size; i++) {
        unsigned digit = (unsigned)p[i] - '0';
        if (digit > 9) return -1;
        n = n * 10 + (int64_t)digit;
    }
    return n;
}

#endif
