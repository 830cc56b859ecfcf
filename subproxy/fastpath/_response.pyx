# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""A response frame, taken apart and checked, and the head of HTTP that becomes of it.

C{decode} accepts only what C{subproxy.wire} and C{subproxy.core.http.response} surely accept: a
response in its one encoding, with nothing in it that would be refused or need a
thought. The rest is for the Python path, which sees the same bytes.

The same in Python: C{subproxy.wire.frames}, C{subproxy.wire.messages}, C{subproxy.wire.fields},
C{subproxy.core.http.response} and C{subproxy.frontend.http1.response_writer} (see
C{subproxy.fastpath.twins}).
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp

from subproxy.core.http.fields import BODILESS, MAX_REASON, MAX_RESPONSE_HEAD
from subproxy.fastpath._bytes cimport name_run, put_bytes, put_number, u8, value_end, value_end_within
from subproxy.fastpath._frames cimport (
    LENGTH_DIGITS, FieldPair, frame_length, integer, item, next_field,
)
from subproxy.fastpath._tables cimport (
    DATE, DROP, IS_TOKEN, KEEP, LENGTH, ODD, WEBSOCKET_ACCEPT, Tables, lookup, tables,
)
from subproxy.fastpath.tables import STATUS_LINES
from subproxy.wire.limits import MAX_ELEMENTS, MAX_HEADER_BYTES, MAX_HEADERS, MAX_LENGTH_DIGITS

cdef const Tables *T = tables()
cdef list _lines = list(STATUS_LINES)
cdef const u8 *LINE[600]
cdef int LINE_SIZE[600]
cdef int _i
for _i in range(600):
    LINE[_i] = <const u8 *><char *><bytes>_lines[_i]
    LINE_SIZE[_i] = <int>len(_lines[_i])
    if is_bodiless(_i) != (_i in BODILESS):
        raise ImportError(f"whether {_i} has a body differs from subproxy.core.http.fields")
cdef int FIELDS_LIMIT = min(MAX_HEADER_BYTES, MAX_RESPONSE_HEAD)
cdef int REASON_LIMIT = MAX_REASON
if LENGTH_DIGITS != MAX_LENGTH_DIGITS:
    raise ImportError("the digits of a length differ from subproxy.wire.limits")
if MAX_HEADERS > MOST_ANSWERED:
    raise ImportError("more fields than there is room for")
# `decode` does not count elements: it takes no frame that has more than these.
if 6 + 3 * MOST_ANSWERED + 2 > MAX_ELEMENTS:
    raise ImportError("a response may have more elements than a frame")


cdef uint64_t concerned(const u8 *payload, const u8 *end) noexcept nogil:
    """The number of the exchange that a frame is about; 0 if it is about none, or is malformed."""
    cdef Py_ssize_t size
    cdef const u8 *p = item(payload, end, c",", &size)
    cdef int64_t number
    if p == NULL:
        return 0
    p = item(p + size + 1, end, c"#", &size)
    if p == NULL:
        return 0
    number = integer(p, size)
    # Of what is not about an exchange (register, ...) it is a reference: taking that
    # for an exchange costs time, and is right all the same.
    return number if number > 0 else 0


cdef bint decode(
    const u8 *payload, const u8 *end, Py_ssize_t inline_limit, Answer *answer
) noexcept nogil:
    """Take the frame payload..end apart; false if it is not for here. C{end[0]} is its tag."""
    cdef const u8 *p = payload
    cdef const u8 *last
    cdef const u8 *name
    cdef const u8 *value
    cdef const u8 *at
    cdef FieldPair pair
    cdef Py_ssize_t size, name_size
    cdef int64_t number
    cdef int kind, count = 0, total = 0, i
    cdef AnswerField *field
    if end - p < 11 or memcmp(p, b"8:response,", 11) != 0:
        return False
    p = item(p + 11, end, c"#", &size)
    if p == NULL:
        return False
    number = integer(p, size)
    if number <= 0:
        return False
    answer.number = number
    p = item(p + size + 1, end, c"#", &size)
    if p == NULL or size != 3:
        return False
    number = integer(p, 3)
    if number < 200 or number > 599:
        return False
    answer.status = <int>number
    p = item(p + size + 1, end, c"]", &size)
    if p == NULL:
        return False
    answer.kept = 0
    answer.dated = False
    answer.length = -1
    last = p + size
    while p < last:
        p = next_field(p, last, &pair)
        if p == NULL:
            return False
        name = pair.name
        name_size = pair.name_size
        value = pair.value
        size = pair.value_size
        count += 1
        total += <int>(name_size + size)
        if count > MOST_ANSWERED or total > FIELDS_LIMIT:
            return False
        # Behind a name are its comma and a value, so that no name goes on where it ends.
        at = name_run(name, end)
        while T.classes[at[0]] & IS_TOKEN:
            at += 1
        if at < name + name_size:
            return False
        if value_end_within(value, value + size, end) != value + size:
            return False
        while size and (value[0] == 32 or value[0] == 9):
            value += 1
            size -= 1
        while size and (value[size - 1] == 32 or value[size - 1] == 9):
            size -= 1
        kind = lookup(&T.response, name, <int>name_size)
        if kind != KEEP:
            if kind == DROP:
                continue
            if kind == ODD:
                return False
            if kind == LENGTH:
                if size == 0 or size > 18:
                    return False
                number = 0
                for i in range(<int>size):
                    if not 48 <= value[i] <= 57:
                        return False
                    number = number * 10 + (value[i] - 48)
                if answer.length >= 0 and answer.length != number:
                    return False
                answer.length = number
                continue
            if kind == DATE:
                answer.dated = True
        field = &answer.field[answer.kept]
        field.name = name
        field.name_size = <int>name_size
        field.value = value
        field.value_size = <int>size
        answer.kept += 1
    answer.fields_size = total
    p = last + 1
    answer.reason_size = 0
    if end - p >= 3 and memcmp(p, b"0:}", 3) == 0:
        p += 3
    else:
        # {"reason": ...} and nothing else.
        p = item(p, end, c"}", &size)
        if p == NULL:
            return False
        last = p + size
        if size < 9 or memcmp(p, b"6:reason,", 9) != 0:
            return False
        p = item(p + 9, last, c",", &size)
        if p == NULL or p + size + 1 != last or size > REASON_LIMIT:
            return False
        if value_end(p, p + size) != p + size:
            return False
        answer.reason = p
        answer.reason_size = <int>size
        p = last + 1
    answer.payload = payload
    answer.payload_size = end - payload
    answer.streamed = answer.ahead = False
    if end - p > 12 and (end - 1)[0] == c"}":
        # {"length": ...}, perhaps with "ahead", and nothing else: so many bytes come over a data
        # connection.
        p = item(p, end, c"}", &size)
        if p == NULL or p + size + 1 != end:
            return False
        last = p + size
        # Keys come in any order: our guest in Python has this one first, that in Go last.
        if size > 24 and memcmp(p, b"5:ahead,4:true!", 15) == 0:
            answer.ahead = True
            p += 15
        elif size > 24 and memcmp(last - 15, b"5:ahead,4:true!", 15) == 0:
            answer.ahead = True
            last -= 15
        if last - p < 9 or memcmp(p, b"6:length,", 9) != 0:
            return False
        p = item(p + 9, last, c"#", &size)
        if p == NULL or p + size + 1 != last:
            return False
        answer.bulk = integer(p, size)
        answer.body = NULL
        answer.body_size = 0
        return answer.bulk >= 0
    answer.bulk = -1
    if end - p == 3 and memcmp(p, b"0:~", 3) == 0:
        answer.streamed = True
        answer.body = NULL
        answer.body_size = 0
        return True
    p = item(p, end, c",", &size)
    if p == NULL or p + size + 1 != end or size > inline_limit:
        return False
    answer.body = p
    answer.body_size = size
    return True


cdef u8 *write_head(
    u8 *o, const Answer *answer, int64_t length, const u8 *date, Py_ssize_t date_size,
    const u8 *id, int id_size, bint close,
) noexcept:
    """The head, as C{subproxy.frontend.http1.response_writer.write_head} has it; return its end.

    C{length} is what Content-Length says, -1 for none. It needs fields_size + 4 * kept + 1024 bytes.
    """
    cdef int i
    cdef const AnswerField *field
    if answer.reason_size:
        o = put_bytes(o, b"HTTP/1.1 ", 9)
        o = put_number(o, answer.status)
        o[0] = 32
        o = put_bytes(o + 1, answer.reason, answer.reason_size)
        o = put_bytes(o, b"\r\n", 2)
    else:
        o = put_bytes(o, LINE[answer.status], LINE_SIZE[answer.status])
    for i in range(answer.kept):
        field = &answer.field[i]
        o = put_bytes(o, field.name, field.name_size)
        o = put_bytes(o, b": ", 2)
        o = put_bytes(o, field.value, field.value_size)
        o = put_bytes(o, b"\r\n", 2)
    if not answer.dated:
        o = put_bytes(o, b"Date: ", 6)
        o = put_bytes(o, date, date_size)
        o = put_bytes(o, b"\r\n", 2)
    if length >= 0:
        o = put_bytes(o, b"Content-Length: ", 16)
        o = put_number(o, <uint64_t>length)
        o = put_bytes(o, b"\r\n", 2)
    o = put_bytes(o, b"X-Request-Id: ", 14)
    o = put_bytes(o, id, id_size)
    if close:
        o = put_bytes(o, b"\r\nConnection: close", 19)
    return put_bytes(o, b"\r\n\r\n", 4)


cdef u8 *write_switch(
    u8 *o, const Answer *answer, const u8 *protocol, Py_ssize_t protocol_size,
    const u8 *accept, Py_ssize_t accept_size, const u8 *id, int id_size,
) noexcept:
    """The head by which a WebSocket begins, as C{Http1Encoder.change_protocol} has it; return its end.

    It needs fields_size + 4 * kept + 1024 bytes.
    """
    cdef int i
    cdef const AnswerField *field
    o = put_bytes(o, LINE[101], LINE_SIZE[101])
    o = put_bytes(o, b"Upgrade: ", 9)
    o = put_bytes(o, protocol, protocol_size)
    o = put_bytes(o, b"\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ", 45)
    o = put_bytes(o, accept, accept_size)
    o = put_bytes(o, b"\r\n", 2)
    for i in range(answer.kept):
        field = &answer.field[i]
        if lookup(&T.response, field.name, field.name_size) == WEBSOCKET_ACCEPT:
            continue
        o = put_bytes(o, field.name, field.name_size)
        o = put_bytes(o, b": ", 2)
        o = put_bytes(o, field.value, field.value_size)
        o = put_bytes(o, b"\r\n", 2)
    o = put_bytes(o, b"X-Request-Id: ", 14)
    o = put_bytes(o, id, id_size)
    return put_bytes(o, b"\r\n\r\n", 4)


def announced_body(bytes frame):
    """The decoder alone, for tests: how long a body is that comes over a data connection, and whether the
    token of its request is used for it; None if there is none, or it is not plain."""
    cdef Answer answer
    cdef const u8 *begin = <const u8 *>PyBytes_AS_STRING(frame)
    cdef const u8 *payload = NULL
    cdef Py_ssize_t length = frame_length(begin, begin + len(frame), 262144, &payload)
    if length < 0 or not decode(payload, payload + length, 65536, &answer) or answer.bulk < 0:
        return None
    return answer.bulk, answer.ahead


def response_bytes(bytes frame, bytes method, bytes date, bytes id, Py_ssize_t inline=65536):
    """The decoder and the writer alone, for tests: number and bytes; None if it is not plain."""
    cdef Answer answer
    cdef const u8 *begin = <const u8 *>PyBytes_AS_STRING(frame)
    cdef const u8 *payload = NULL
    cdef Py_ssize_t length = frame_length(begin, begin + len(frame), 262144, &payload)
    cdef bint bodiless
    cdef int64_t told
    cdef u8 *first
    cdef u8 *last
    if length < 0 or payload + length + 1 != begin + len(frame) or payload[length] != c"]":
        return None
    if not decode(payload, payload + length, inline, &answer):
        return None
    if answer.bulk >= 0 or answer.streamed:
        return None
    bodiless = method == b"HEAD" or is_bodiless(answer.status)
    if bodiless:
        told = bodiless_length(&answer)
    else:
        told = answer.body_size
        if answer.length >= 0 and answer.length != told:
            return None
    scratch = bytearray(answer.fields_size + 4 * answer.kept + answer.reason_size + len(id) + 1024)
    first = <u8 *>PyByteArray_AS_STRING(scratch)
    last = write_head(
        first, &answer, told, <const u8 *>PyBytes_AS_STRING(date), len(date),
        <const u8 *>PyBytes_AS_STRING(id), <int>len(id), False,
    )
    head = PyBytes_FromStringAndSize(<char *>first, last - first)
    body = b"" if bodiless else PyBytes_FromStringAndSize(<const char *>answer.body, answer.body_size)
    return answer.number, head + body
