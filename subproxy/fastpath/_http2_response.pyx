# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""A whole answer as frames of HTTP/2: HEADERS, and DATA as many as it needs.

The same in Python: C{subproxy.frontend.http2.response_encoder} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t

from subproxy.fastpath._bytes cimport put_bytes, put_number, u8
from subproxy.fastpath._hpack cimport put_field
from subproxy.fastpath._response cimport Answer, AnswerField
from subproxy.fastpath._tables cimport Tables, tables

cdef const Tables *T = tables()
cdef u8 NAME[16384]


cdef Py_ssize_t answer_room(const Answer *answer, int id_size, Py_ssize_t body_size) noexcept nogil:
    """More bytes than the frames can have."""
    return (
        answer.fields_size + 20 * answer.kept + id_size + 512
        + body_size + (body_size // FRAME_SIZE + 1) * FRAME_HEAD
    )


cdef u8 *put_frame_head(u8 *o, uint32_t size, int kind, int flags, uint32_t stream) noexcept nogil:
    """What stands before the payload of a frame."""
    o[0] = size >> 16
    o[1] = size >> 8 & 255
    o[2] = size & 255
    o[3] = kind
    o[4] = flags
    o[5] = stream >> 24
    o[6] = stream >> 16 & 255
    o[7] = stream >> 8 & 255
    o[8] = stream & 255
    return o + FRAME_HEAD


cdef u8 *write_answer(
    u8 *o, const Answer *answer, int64_t length, const u8 *date, int date_size, const u8 *id,
    int id_size, Py_ssize_t body_size, uint32_t stream, bint shrinks,
) noexcept:
    """Write the frames; return their end.

    Its fields have to fit into one frame: C{answer.fields_size} is at most 8192, which the caller
    sees to. C{length} is what Content-Length says, -1 for none.
    """
    cdef u8 *begin = o
    cdef const u8 *body = answer.body
    cdef const AnswerField *field
    cdef u8 digits[24]
    cdef Py_ssize_t part
    cdef int i, k
    o += FRAME_HEAD
    if shrinks:
        o[0] = 0x20
        o += 1
    o = put_field(o, b":status", 7, digits, <int>(put_number(digits, answer.status) - digits))
    for i in range(answer.kept):
        field = &answer.field[i]
        for k in range(field.name_size):
            NAME[k] = T.lower[field.name[k]]
        o = put_field(o, NAME, field.name_size, field.value, field.value_size)
    if not answer.dated:
        o = put_field(o, b"date", 4, date, date_size)
    if length >= 0:
        o = put_field(
            o, b"content-length", 14, digits, <int>(put_number(digits, <uint64_t>length) - digits)
        )
    o = put_field(o, b"x-request-id", 12, id, id_size)
    put_frame_head(begin, <uint32_t>(o - begin - FRAME_HEAD), 1, 4 if body_size else 5, stream)
    while body_size:
        part = min(body_size, FRAME_SIZE)
        body_size -= part
        o = put_frame_head(o, <uint32_t>part, 0, 0 if body_size else 1, stream)
        o = put_bytes(o, body, part)
        body += part
    return o


def data_frames(object waiting, Py_ssize_t at, Py_ssize_t size, uint32_t stream, bint ends):
    """DATA of C{size} bytes, which are taken from a deque of bytes, from C{at} in its first on.

    Returns the frames, and where in the deque what is left begins.
    """
    cdef Py_ssize_t part = 0, n
    cdef bytes piece
    cdef bytes out = PyBytes_FromStringAndSize(
        NULL, size + (size + FRAME_SIZE - 1) // FRAME_SIZE * FRAME_HEAD
    )
    cdef u8 *o = <u8 *>PyBytes_AS_STRING(out)
    while size:
        if part == 0:
            part = min(size, FRAME_SIZE)
            o = put_frame_head(
                o, <uint32_t>part, 0, 1 if ends and part == size else 0, stream
            )
        piece = waiting[0]
        n = min(PyBytes_GET_SIZE(piece) - at, part)
        o = put_bytes(o, <const u8 *>PyBytes_AS_STRING(piece) + at, n)
        at += n
        part -= n
        size -= n
        if at == PyBytes_GET_SIZE(piece):
            waiting.popleft()
            at = 0
    return out, at
