# A response frame, taken apart and checked, and the head of HTTP that becomes of it. See _response.pyx.
from libc.stdint cimport int64_t, uint64_t

from subproxy.fastpath._bytes cimport u8

cdef enum:
    MOST_ANSWERED = 128  # fields: subproxy.wire.limits.MAX_HEADERS

cdef struct AnswerField:
    const u8 *name
    const u8 *value
    int name_size
    int value_size

cdef struct Answer:
    uint64_t number
    int status
    int kept
    bint dated
    int fields_size
    int64_t length
    const u8 *reason
    int reason_size
    const u8 *body
    Py_ssize_t body_size
    int64_t bulk  # bytes of a body that comes over a data connection; -1: it does not
    bint ahead  # ... with the token that went with the request
    bint streamed  # its body follows in frames; else it is here, or bulk
    const u8 *payload  # of the frame
    Py_ssize_t payload_size
    AnswerField field[MOST_ANSWERED]

cdef bint decode(const u8 *payload, const u8 *end, Py_ssize_t inline_limit, Answer *answer) noexcept nogil
cdef u8 *write_switch(
    u8 *o, const Answer *answer, const u8 *protocol, Py_ssize_t protocol_size,
    const u8 *accept, Py_ssize_t accept_size, const u8 *id, int id_size,
) noexcept
cdef uint64_t concerned(const u8 *payload, const u8 *end) noexcept nogil
cdef u8 *write_head(
    u8 *o, const Answer *answer, int64_t length, const u8 *date, Py_ssize_t date_size,
    const u8 *id, int id_size, bint close,
) noexcept

cdef inline bint is_bodiless(int status) noexcept nogil:
    # subproxy.core.http.fields.BODILESS, which _response.pyx compares with it.
    return status == 204 or status == 205 or status == 304

cdef inline int64_t bodiless_length(const Answer *answer) noexcept nogil:
    # What Content-Length says where there is no body: see `content_length` in subproxy.frontend.http1.response_writer.
    if answer.status == 205:
        return 0
    return -1 if is_bodiless(answer.status) else answer.length
