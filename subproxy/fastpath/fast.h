/* Small things for the compiled path, inline: numbers, tnetstrings written backwards, characters. */
#ifndef SUBPROXY_FAST_H
#define SUBPROXY_FAST_H

#include <Python.h>
#include <structmember.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef unsigned char u8;

/* Frames are written from their end to their beginning: a length is known when it is written. */

static inline u8 *back_number(u8 *o, uint64_t n) {
    do { *--o = (u8)('0' + n % 10); n /= 10; } while (n);
    return o;
}

static inline u8 *back_bytes(u8 *o, const void *s, size_t n) {
    o -= n;
    memcpy(o, s, n);
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

static inline u8 *put_bytes(u8 *o, const void *s, size_t n) {
    memcpy(o, s, n);
    return o + n;
}

static inline u8 *put_number(u8 *o, uint64_t n) {
    u8 digits[20], *p = back_number(digits + 20, n);
    return put_bytes(o, p, (size_t)(digits + 20 - p));
}

/* "%08x" */
static inline u8 *put_hex8(u8 *o, uint64_t n) {
    u8 digits[16], *p = digits + 16;
    do { *--p = (u8)"0123456789abcdef"[n & 15]; n >>= 4; } while (n);
    while (digits + 16 - p < 8) *--p = '0';
    return put_bytes(o, p, (size_t)(digits + 16 - p));
}

/* A C string, whose length the compiler knows where it is a literal. */
static inline u8 *put_literal(u8 *o, const char *s) {
    return put_bytes(o, s, strlen(s));
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
            while ((one /= 10) != 0) *o++ = (u8)('0' + n / one % 10);
            return o;
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

/* The first byte of p..end that is a control character other than a tab, or DEL; else end. */
static inline const u8 *value_end(const u8 *p, const u8 *end) {
#ifdef __SSE2__
    const __m128i tab = _mm_set1_epi8(9), del = _mm_set1_epi8(127), top = _mm_set1_epi8(0x1f);
    while (end - p >= 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)p);
        __m128i bad = _mm_cmpeq_epi8(_mm_min_epu8(x, top), x);
        int mask;
        bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(x, tab), bad), _mm_cmpeq_epi8(x, del));
        mask = _mm_movemask_epi8(bad);
        if (mask) return p + __builtin_ctz((unsigned)mask);
        p += 16;
    }
#endif
    while (p < end && ((*p >= 32 && *p != 127) || *p == 9)) p++;
    return p;
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

static inline void slot_set(PyObject *object, Py_ssize_t offset, PyObject *stolen) {
    PyObject **place = (PyObject **)((char *)object + offset), *old = *place;
    *place = stolen;
    Py_XDECREF(old);
}

#endif
