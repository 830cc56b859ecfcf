# A whole answer as frames of HTTP/2. See _http2_response.pyx.
from libc.stdint cimport int64_t, uint32_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._response cimport Answer

cdef enum:
    FRAME_SIZE = 16384  # bytes of payload
    FRAME_HEAD = 9

cdef Py_ssize_t answer_room(const Answer *answer, int id_size, Py_ssize_t body_size) noexcept nogil
cdef u8 *put_frame_head(u8 *o, uint32_t size, int kind, int flags, uint32_t stream) noexcept nogil
cdef u8 *write_answer(
    u8 *o, const Answer *answer, int64_t length, const u8 *date, int date_size, const u8 *id,
    int id_size, Py_ssize_t body_size, uint32_t stream, bint shrinks,
) noexcept
