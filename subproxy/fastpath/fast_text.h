/* Looks for the end of a run of characters, sixteen at a time where the machine can.

   What is looked for is described in tables.py; here it is said again as ranges, which
   _tables.pyx compares with it when it is imported. */
#ifndef SUBPROXY_FAST_TEXT_H
#define SUBPROXY_FAST_TEXT_H

#include "fast.h"
#ifdef __SSE2__
#include <emmintrin.h>

static inline __m128i sixteen(const u8 *p) { return _mm_loadu_si128((const __m128i *)p); }
static inline __m128i is(__m128i x, char c) { return _mm_cmpeq_epi8(x, _mm_set1_epi8(c)); }

/* from <= x <= from + span, as unsigned bytes */
static inline __m128i within(__m128i x, char from, char span) {
    __m128i y = _mm_sub_epi8(x, _mm_set1_epi8(from));
    return _mm_cmpeq_epi8(_mm_min_epu8(y, _mm_set1_epi8(span)), y);
}

/* Control characters but a tab, and DEL. */
static inline unsigned not_of_values(__m128i x) {
    __m128i low = within(x, 0, 0x1f);
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(is(x, 9), low), is(x, 127)));
}

/* Letters, digits and the hyphen, of which the names of fields mostly are. */
static inline unsigned not_of_names(__m128i x) {
    __m128i letter = within(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 25);
    __m128i known = _mm_or_si128(_mm_or_si128(letter, within(x, '0', 9)), is(x, '-'));
    return (unsigned)_mm_movemask_epi8(known) ^ 0xffffu;
}

/* 0x21 to 0x7e but for "#<> */
static inline __m128i of_targets(__m128i x) {
    __m128i quote = is(_mm_or_si128(x, _mm_set1_epi8(1)), '#');
    __m128i angle = _mm_or_si128(is(x, '<'), is(x, '>'));
    return _mm_andnot_si128(_mm_or_si128(quote, angle), within(x, 0x21, 0x5d));
}

/* 0x20 to 0x7e but for " and the backslash */
static inline unsigned not_plain(__m128i x) {
    __m128i odd = _mm_or_si128(is(x, '"'), is(x, '\\'));
    return (unsigned)_mm_movemask_epi8(_mm_andnot_si128(odd, within(x, 0x20, 0x5e))) ^ 0xffffu;
}
#endif

/* The first byte of p..end that is a control character other than a tab, or DEL; else end. What is
   before `limit`, which is not before `end`, may be read. */
static inline const u8 *value_end_within(const u8 *p, const u8 *end, const u8 *limit) {
#ifdef __SSE2__
    while (p < end && limit - p >= 16) {
        unsigned odd = not_of_values(sixteen(p));
        if (odd) {
            p += __builtin_ctz(odd);
            return p < end ? p : end;
        }
        p += 16;
    }
    if (p > end) return end;
#endif
    while (p < end && ((*p >= 32 && *p != 127) || *p == 9)) p++;
    return p;
}

static inline const u8 *value_end(const u8 *p, const u8 *end) {
    return value_end_within(p, end, end);
}

/* How far letters, digits and hyphens go from p on, as far as that is seen at once: some or all. */
static inline const u8 *name_run(const u8 *p, const u8 *end) {
#ifdef __SSE2__
    while (end - p >= 16) {
        unsigned odd = not_of_names(sixteen(p));
        if (odd) return p + __builtin_ctz(odd);
        p += 16;
    }
#endif
    return p;
}

/* Likewise what may stand in a target, with a query or up to one. */
static inline const u8 *target_run(const u8 *p, const u8 *end, int query) {
#ifdef __SSE2__
    while (end - p >= 16) {
        __m128i x = sixteen(p), known = of_targets(x);
        unsigned odd;
        if (!query) known = _mm_andnot_si128(is(x, '?'), known);
        odd = (unsigned)_mm_movemask_epi8(known) ^ 0xffffu;
        if (odd) return p + __builtin_ctz(odd);
        p += 16;
    }
#endif
    return p;
}

/* Put what of p..end goes into the access log as it is, up to the first byte that does not, which
   `p` points to then. There is room for sixteen bytes more. */
static inline u8 *put_plain_run(u8 *o, const u8 **p, const u8 *end, const u8 *classes, u8 plain) {
    const u8 *at = *p;
#ifdef __SSE2__
    while (end - at >= 16) {
        __m128i x = sixteen(at);
        unsigned odd = not_plain(x);
        _mm_storeu_si128((__m128i *)o, x);
        if (odd) {
            *p = at + __builtin_ctz(odd);
            return o + __builtin_ctz(odd);
        }
        at += 16;
        o += 16;
    }
    if (at < end) {
        u8 last[16] = {0};
        unsigned odd;
        size_t n = (size_t)(end - at) & 15;
        __m128i x;
        copy_bytes(last, at, n);
        x = sixteen(last);
        odd = not_plain(x) | 1u << n;
        _mm_storeu_si128((__m128i *)o, x);
        *p = at + __builtin_ctz(odd);
        return o + __builtin_ctz(odd);
    }
#else
    while (at < end && classes[*at] & plain) *o++ = *at++;
#endif
    *p = at;
    return o;
}

/* Whether `text` is the name `lower`, of small letters, digits and hyphens, but for the case of its
   letters. No character that is neither is taken for one of them, unless it is a control character. */
static inline int same_name(const u8 *text, const u8 *lower, size_t n) {
    if (n >= 8) {
        const uint64_t small = 0x2020202020202020u;
        uint64_t a, b;
        size_t i;
        for (i = 0; i + 8 < n; i += 8) {
            memcpy(&a, text + i, 8);
            memcpy(&b, lower + i, 8);
            if ((a | small) != b) return 0;
        }
        memcpy(&a, text + n - 8, 8);
        memcpy(&b, lower + n - 8, 8);
        return (a | small) == b;
    }
    if (n >= 4) {
        uint32_t a, b, c, d;
        memcpy(&a, text, 4);
        memcpy(&b, lower, 4);
        memcpy(&c, text + n - 4, 4);
        memcpy(&d, lower + n - 4, 4);
        return (a | 0x20202020u) == b && (c | 0x20202020u) == d;
    }
    while (n--) {
        if ((text[n] | 0x20) != lower[n]) return 0;
    }
    return 1;
}

#endif
