/* Small things for the compiled path, inline: copies, numbers, tnetstrings written backwards. */
#ifndef SUBPROXY_FAST_H
#define SUBPROXY_FAST_H

#include <Python.h>
#include <structmember.h>
#if PY_VERSION_HEX < 0x030b0000
#include <longintrepr.h>
#endif
#include <stdint.h>
#include <string.h>
#include <time.h>

typedef unsigned char u8;

/* Copies are mostly of a few bytes: without a call, two overlapping words are those. */

static __attribute__((noinline, unused)) void copy_more(u8 *o, const u8 *s, size_t n) {
    struct sixteen { u8 bytes[16]; } a, b, c, d;
    if (n > 64) {
        memcpy(o, s, n);
        return;
    }
    memcpy(&a, s, 16);
    memcpy(&b, s + n - 16, 16);
    if (n > 32) {
        memcpy(&c, s + 16, 16);
        memcpy(&d, s + n - 32, 16);
        memcpy(o + 16, &c, 16);
        memcpy(o + n - 32, &d, 16);
    }
    memcpy(o, &a, 16);
    memcpy(o + n - 16, &b, 16);
}

static inline void copy_bytes(u8 *o, const void *from, size_t n) {
    const u8 *s = (const u8 *)from;
    if (__builtin_constant_p(n)) {
        memcpy(o, s, n);
    } else if (n > 16) {
        copy_more(o, s, n);
    } else if (n >= 8) {
        uint64_t a, b;
        memcpy(&a, s, 8);
        memcpy(&b, s + n - 8, 8);
        memcpy(o, &a, 8);
        memcpy(o + n - 8, &b, 8);
    } else if (n >= 4) {
        uint32_t a, b;
        memcpy(&a, s, 4);
        memcpy(&b, s + n - 4, 4);
        memcpy(o, &a, 4);
        memcpy(o + n - 4, &b, 4);
    } else if (n) {
        u8 a = s[0], b = s[n >> 1], c = s[n - 1];
        o[0] = a;
        o[n >> 1] = b;
        o[n - 1] = c;
    }
}

/* Numbers, two digits at a time. */

static const char TWO_DIGITS[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

/* Frames are written from their end to their beginning: a length is known when it is written. */

static inline u8 *back_number(u8 *o, uint64_t n) {
    while (n >= 100) {
        o -= 2;
        memcpy(o, TWO_DIGITS + 2 * (n % 100), 2);
        n /= 100;
    }
    if (n >= 10) {
        o -= 2;
        memcpy(o, TWO_DIGITS + 2 * n, 2);
    } else {
        *--o = (u8)('0' + n);
    }
    return o;
}

static inline u8 *back_bytes(u8 *o, const void *s, size_t n) {
    o -= n;
    copy_bytes(o, s, n);
    return o;
}

/* The length of what was written since `end`, and the colon. */
static inline u8 *back_length(u8 *o, const u8 *end) {
    size_t n = (size_t)(end - o);
    *--o = ':';
    return back_number(o, n);
}

static inline u8 *back_string(u8 *o, const void *s, size_t n) {
    *--o = ',';
    o = back_bytes(o, s, n);
    *--o = ':';
    return back_number(o, n);
}

static inline u8 *back_pair(u8 *o, const void *name, size_t nn, const void *value, size_t vn) {
    u8 *end;
    *--o = ']';
    end = o;
    o = back_string(o, value, vn);
    o = back_string(o, name, nn);
    return back_length(o, end);
}

/* Some number of a text: texts that differ have mostly different ones. */
static inline uint64_t mixed(uint64_t seed, const u8 *s, size_t n) {
    const uint64_t odd = 0x9e3779b97f4a7c15u;
    uint64_t word, mix = (seed ^ n) * odd;
    for (; n >= 8; s += 8, n -= 8) {
        memcpy(&word, s, 8);
        mix = (mix ^ word ^ mix >> 29) * odd;
    }
    if (n) {
        word = 0;
        copy_bytes((u8 *)&word, s, n);
        mix = (mix ^ word ^ mix >> 29) * odd;
    }
    return mix ^ mix >> 32;
}

static inline u8 *put_bytes(u8 *o, const void *s, size_t n) {
    copy_bytes(o, s, n);
    return o + n;
}

static inline u8 *put_number(u8 *o, uint64_t n) {
    u8 digits[20], *p = back_number(digits + 20, n);
    return put_bytes(o, p, (size_t)(digits + 20 - p));
}

/* "%08x" */
static inline u8 *put_hex8(u8 *o, uint64_t n) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (n <= 0xffffffffu) {
        /* A byte for each digit, the first one lowest; then all are made characters at once. */
        uint64_t x = __builtin_bswap32((uint32_t)n);
        x = (x | x << 16) & 0x0000ffff0000ffffu;
        x = (x | x << 8) & 0x00ff00ff00ff00ffu;
        x = (x >> 4 & 0x000f000f000f000fu) | (x & 0x000f000f000f000fu) << 8;
        x += 0x3030303030303030u + 0x27 * ((x + 0x0606060606060606u) >> 4 & 0x0101010101010101u);
        memcpy(o, &x, 8);
        return o + 8;
    }
#endif
    {
        u8 digits[16], *p = digits + 16;
        do { *--p = (u8)"0123456789abcdef"[n & 15]; n >>= 4; } while (n);
        while (digits + 16 - p < 8) *--p = '0';
        return put_bytes(o, p, (size_t)(digits + 16 - p));
    }
}

/* A C string, whose length the compiler knows where it is a literal. */
static inline u8 *put_literal(u8 *o, const char *s) {
    return put_bytes(o, s, strlen(s));
}

/* A number of so many digits, noughts in front of it. */
static inline u8 *put_digits(u8 *o, uint32_t n, int digits) {
    u8 *p = o + digits;
    while (p - o >= 2) {
        p -= 2;
        memcpy(p, TWO_DIGITS + 2 * (n % 100), 2);
        n /= 100;
    }
    if (p > o) *o = (u8)('0' + n);
    return o + digits;
}

/* "%.*f", as Python writes it: rounded correctly also where a product could fall on the wrong side.
   `one` is ten to the power of `digits`; both are constants, so that nothing is divided. */
static inline u8 *put_decimal(u8 *o, double seconds, int digits, uint64_t one) {
    double scaled = seconds * (double)one, near;
    if (scaled >= 0.0 && scaled < 1e12) {
        uint64_t n = (uint64_t)scaled;
        near = scaled - (double)n - 0.5;
        if (near > 1e-3 || near < -1e-3) {
            n += near > 0.0;
            o = put_number(o, n / one);
            *o++ = '.';
            return put_digits(o, (uint32_t)(n % one), digits);
        }
    }
    {
        char *text = PyOS_double_to_string(seconds, 'f', digits, 0, NULL);
        size_t size;
        if (!text) { PyErr_Clear(); return o; }
        size = strlen(text);
        if (size > 400) size = 400;
        o = put_bytes(o, text, size);
        PyMem_Free(text);
        return o;
    }
}

/* "%.3f" */
static inline u8 *put_milliseconds(u8 *o, double seconds) {
    return put_decimal(o, seconds, 3, 1000);
}

/* "%.6f" */
static inline u8 *put_microseconds(u8 *o, double seconds) {
    return put_decimal(o, seconds, 6, 1000000);
}

static inline double clock_now(int which) {
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Where a class with __slots__ keeps an attribute, or -1 if it is not kept so. */
static inline Py_ssize_t slot_offset(PyObject *descriptor) {
    if (Py_TYPE(descriptor) != &PyMemberDescr_Type) return -1;
    if (((PyMemberDescrObject *)descriptor)->d_member->type != T_OBJECT_EX) return -1;
    return ((PyMemberDescrObject *)descriptor)->d_member->offset;
}

static inline PyObject *slot_get(PyObject *object, Py_ssize_t offset) {
    return *(PyObject **)((char *)object + offset);
}

/* The value of an int: mostly it has one digit, which needs no call; -1 with an exception if it is none. */
static inline long long_of(PyObject *value) {
#if PY_VERSION_HEX >= 0x030c0000
    if (PyLong_CheckExact(value) && PyUnstable_Long_IsCompact((PyLongObject *)value))
        return (long)PyUnstable_Long_CompactValue((PyLongObject *)value);
#else
    if (PyLong_CheckExact(value)) {
        if (Py_SIZE(value) == 1) return (long)((PyLongObject *)value)->ob_digit[0];
        if (Py_SIZE(value) == 0) return 0;
    }
#endif
    return PyLong_AsLong(value);
}

static inline void slot_set(PyObject *object, Py_ssize_t offset, PyObject *stolen) {
    PyObject **place = (PyObject **)((char *)object + offset), *old = *place;
    *place = stolen;
    Py_XDECREF(old);
}

#endif
