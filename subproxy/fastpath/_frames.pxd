# What is in fast_frames.h, and the fields that stand in a frame.
from libc.stdint cimport int64_t

from subproxy.fastpath._bytes cimport u8

cdef extern from "fast_frames.h" nogil:
    enum:
        LENGTH_DIGITS
        NO_FRAME
        INCOMPLETE
    Py_ssize_t frame_length(const u8 *, const u8 *, Py_ssize_t, const u8 **)
    const u8 *item(const u8 *, const u8 *, u8, Py_ssize_t *)
    int64_t integer(const u8 *, Py_ssize_t)

cdef struct FieldPair:
    # A field as it stands in a frame.
    const u8 *name
    const u8 *value
    Py_ssize_t name_size
    Py_ssize_t value_size

cdef inline const u8 *next_field(const u8 *p, const u8 *last, FieldPair *found) noexcept nogil:
    # Take apart the field that begins at p; return what is behind it, NULL if it is none or has no name.
    cdef const u8 *inner
    cdef Py_ssize_t size
    p = item(p, last, c"]", &size)
    if p == NULL:
        return NULL
    inner = p + size
    found.name = item(p, inner, c",", &found.name_size)
    if found.name == NULL or found.name_size == 0:
        return NULL
    found.value = item(found.name + found.name_size + 1, inner, c",", &found.value_size)
    if found.value == NULL or found.value + found.value_size + 1 != inner:
        return NULL
    return inner + 1
