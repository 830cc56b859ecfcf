# The frames of bodies. See _body_frames.pyx.
from libc.stdint cimport int64_t, uint64_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._log_format cimport Text

cdef enum:
    LONGEST_CONNECT = 192  # bytes: a token of 128, and a number

cdef Py_ssize_t decode_connect(
    const u8 *data, Py_ssize_t size, uint64_t *number, const u8 **token, Py_ssize_t *token_size,
) noexcept nogil
cdef bint decode_end(const u8 *payload, const u8 *end, uint64_t *number, int64_t *length) noexcept nogil
cdef bint decode_body(
    const u8 *payload, const u8 *end, uint64_t *number, const u8 **data, Py_ssize_t *size,
) noexcept nogil
cdef bint decode_credit(
    const u8 *payload, const u8 *end, uint64_t *number, int64_t *amount,
) noexcept nogil
cdef bint decode_abort(
    const u8 *payload, const u8 *end, uint64_t *number, Text *code, Text *reason,
) noexcept nogil
cdef bytes credit_frame(uint64_t number, uint64_t amount)
cdef bytes connect_frame(uint64_t number, bytes token)
cdef int end_frame(u8 *room, uint64_t number, const u8 **begin) noexcept nogil
cdef bytes end_with_length(uint64_t number, uint64_t length)
cdef bytes body_frame(uint64_t number, const u8 *data, Py_ssize_t size)
