# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""A request that another process of the proxy passes on, as a frame for a guest; and its answer back.

What the other process has made of a request of its client is what a guest is to be told: but for its
number the frame stays as it is. So it is accepted only as the encoder writes it, with what that has of
any request; anything more, or less, is for the Python path.

The same in Python: C{subproxy.frontend.peer.protocol}, C{subproxy.frontend.peer.stream} and
C{subproxy.subscription.channel} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp

from subproxy.fastpath._bytes cimport (
    u8, back_bytes, back_length, back_number, back_pair, back_string, put_bytes, put_number,
)
from subproxy.fastpath._frames cimport FieldPair, integer, item, next_field
from subproxy.fastpath._response cimport Answer, AnswerField
from subproxy.fastpath._tables cimport HOST, LENGTH, Tables, lookup, tables

from subproxy.wire.limits import MAX_ELEMENTS, MAX_HEADER_BYTES, MAX_HEADERS

cdef const Tables *T = tables()
cdef int FIELDS_LIMIT = MAX_HEADER_BYTES
cdef int MOST_FIELDS = min(MAX_HEADERS, (MAX_ELEMENTS - 24) // 3)

cdef enum:
    MOST_METHOD = 64
    MOST_TARGET = 16384  # bytes; Python has a longer one


cdef const u8 *text(const u8 *p, const u8 *end, const char *key, int size) noexcept nogil:
    """What is behind an entry of a dictionary with that key, whose value is text; NULL if it is none."""
    cdef Py_ssize_t length
    if end - p < size or memcmp(p, key, size) != 0:
        return NULL
    p = item(p + size, end, c",", &length)
    return NULL if p == NULL else p + length + 1


cdef bint decode_request(
    const u8 *payload, const u8 *end, Py_ssize_t inline_limit, PeerRequest *request,
) noexcept nogil:
    """Take the frame payload..end apart; false if it is not for here. C{end[0]} is its tag."""
    cdef const u8 *p = payload
    cdef const u8 *last
    cdef FieldPair field
    cdef Py_ssize_t size
    cdef int64_t number, told = -1
    cdef int kind, count = 0, total = 0, i
    if end - p < 10 or memcmp(p, b"7:request,", 10) != 0:
        return False
    p = item(p + 10, end, c"#", &size)
    if p == NULL:
        return False
    number = integer(p, size)
    if number <= 0:
        return False
    request.number = number
    request.rest = p + size + 1
    p = item(p + size + 1, end, c",", &size)
    if p == NULL or not 0 < size <= MOST_METHOD:
        return False
    request.method = p
    request.method_size = <int>size
    p = item(p + size + 1, end, c",", &size)
    if p == NULL or not 0 < size <= MOST_TARGET:
        return False
    request.target = p
    request.target_size = <int>size
    request.path_size = <int>size
    for i in range(<int>size):
        if p[i] == c"?":
            request.path_size = i
            break
    p = item(p + size + 1, end, c"]", &size)
    if p == NULL:
        return False
    request.host = NULL
    last = p + size
    while p < last:
        # The length of a body comes last.
        if told >= 0:
            return False
        p = next_field(p, last, &field)
        if p == NULL:
            return False
        count += 1
        total += <int>(field.name_size + field.value_size)
        if count > MOST_FIELDS or total > FIELDS_LIMIT:
            return False
        kind = lookup(&T.request, field.name, <int>field.name_size)
        if kind == HOST:
            if request.host != NULL or field.value_size == 0:
                return False
            request.host = field.value
            request.host_size = <int>field.value_size
        elif kind == LENGTH:
            # As the channel of a guest writes it.
            if field.name_size != 14 or memcmp(field.name, b"Content-Length", 14) != 0:
                return False
            told = integer(field.value, field.value_size)
            if told <= 0:
                return False
    if request.host == NULL:
        return False
    p = last + 1
    p = item(p, end, c"}", &size)
    if p == NULL:
        return False
    last = p + size
    # The keys in the order of the encoder, which writes from the end to the beginning.
    if last - p >= 18 and memcmp(p, b"8:trailers,4:true!", 18) == 0:
        p += 18
    p = text(p, last, b"2:id,", 5)
    if p != NULL:
        p = text(p, last, b"7:version,", 10)
    if p != NULL:
        p = text(p, last, b"6:scheme,", 9)
    if p != NULL:
        p = text(p, last, b"6:client,", 9)
    if p != last:
        return False
    p = item(last + 1, end, c",", &size)
    if p == NULL or p + size + 1 != end or size > inline_limit:
        return False
    if size != (told if told >= 0 else 0):
        return False
    request.body_size = size
    return True


cdef bytes guest_frame(const PeerRequest *request, const u8 *end, uint64_t number):
    """The same request as the exchange C{number} of a guest; C{end[0]} is the tag of the frame."""
    cdef u8 front[64]
    cdef u8 *o = front + 64
    cdef u8 *last
    cdef Py_ssize_t rest = end - request.rest
    cdef bytes made
    o -= 1
    o[0] = c"#"
    last = o
    o = back_number(o, number)
    o = back_length(o, last)
    o = back_bytes(o, b"7:request,", 10)
    last = o
    o -= 1
    o[0] = c":"
    o = back_number(o, <uint64_t>(front + 64 - last + rest))
    made = PyBytes_FromStringAndSize(NULL, front + 64 - o + rest + 1)
    last = put_bytes(<u8 *>PyBytes_AS_STRING(made), o, front + 64 - o)
    last = put_bytes(last, request.rest, rest)
    last[0] = c"]"
    return made


cdef Py_ssize_t answer_room(const Answer *answer) noexcept nogil:
    """More bytes than the frame of the answer can have."""
    return answer.fields_size + 24 * answer.kept + answer.reason_size + answer.body_size + 256


cdef u8 *back_answer(
    u8 *end, const Answer *answer, uint64_t number, bint bodiless,
) noexcept nogil:
    """Write the answer so that its frame ends at C{end}; return where it begins.

    Without a body, C{answer.length} is what that would have been, -1 if that is not known.
    """
    cdef u8 *o = end - 1
    cdef u8 *last
    cdef u8 digits[24]
    cdef int i = answer.kept
    cdef const AnswerField *field
    o[0] = c"]"
    o = back_string(o, answer.body, 0 if bodiless else answer.body_size)
    o -= 1
    o[0] = c"}"
    last = o
    if answer.reason_size:
        o = back_string(o, answer.reason, answer.reason_size)
        o = back_bytes(o, b"6:reason,", 9)
    o = back_length(o, last)
    o -= 1
    o[0] = c"]"
    last = o
    if bodiless and answer.length >= 0:
        o = back_pair(
            o, b"Content-Length", 14, digits,
            put_number(digits, <uint64_t>answer.length) - digits,
        )
    while i > 0:
        i -= 1
        field = &answer.field[i]
        o = back_pair(o, field.name, field.name_size, field.value, field.value_size)
    o = back_length(o, last)
    o -= 1
    o[0] = c"#"
    last = o
    o = back_number(o, <uint64_t>answer.status)
    o = back_length(o, last)
    o -= 1
    o[0] = c"#"
    last = o
    o = back_number(o, number)
    o = back_length(o, last)
    o = back_bytes(o, b"8:response,", 11)
    return back_length(o, end - 1)
