# What is in fast.h and fast_text.h.
from libc.stdint cimport uint64_t

cdef extern from "fast.h" nogil:
    ctypedef unsigned char u8
    u8 *back_number(u8 *, uint64_t)
    u8 *back_bytes(u8 *, const void *, size_t)
    u8 *back_length(u8 *, const u8 *)
    u8 *back_string(u8 *, const void *, size_t)
    u8 *back_pair(u8 *, const void *, size_t, const void *, size_t)
    u8 *put_bytes(u8 *, const void *, size_t)
    u8 *put_number(u8 *, uint64_t)
    u8 *put_literal(u8 *, const char *)
    u8 *put_hex8(u8 *, uint64_t)
    uint64_t mixed(uint64_t, const u8 *, size_t)
    double clock_now(int)

cdef extern from "fast_text.h" nogil:
    const u8 *value_end(const u8 *, const u8 *)
    const u8 *value_end_within(const u8 *, const u8 *, const u8 *)
    const u8 *name_run(const u8 *, const u8 *)
    const u8 *target_run(const u8 *, const u8 *, bint)
    u8 *put_plain_run(u8 *, const u8 **, const u8 *, const u8 *, u8)
    bint same_name(const u8 *, const u8 *, size_t)

cdef extern from "fast.h":
    u8 *put_milliseconds(u8 *, double)
    u8 *put_microseconds(u8 *, double)
    Py_ssize_t slot_offset(object)
