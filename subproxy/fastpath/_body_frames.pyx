# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The frames of bodies: C{body} and C{credit} of tunnels, C{connect} and C{end} of data connections, both ways;
and C{abort}.

What is decoded is only what a guest says in its shortest form, without trailers; the rest is for the
Python path, which sees the same bytes.

The same in Python: C{subproxy.wire.messages} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp, memcpy

from subproxy.fastpath._bytes cimport u8, back_bytes, back_length, back_number, back_string
from subproxy.fastpath._frames cimport frame_length, integer, item

from subproxy.wire.limits import MAX_NAME, MAX_REASON

cdef Py_ssize_t LONGEST_NAME = MAX_NAME
cdef Py_ssize_t LONGEST_REASON = MAX_REASON


cdef inline const u8 *behind_number(
    const u8 *payload, const u8 *end, const char *verb, Py_ssize_t size, uint64_t *number,
) noexcept nogil:
    """Behind the number that payload..end, a frame of that C{verb}, is about; NULL if it is none."""
    cdef const u8 *p
    cdef Py_ssize_t part
    cdef int64_t value
    if end - payload < size or memcmp(payload, verb, size) != 0:
        return NULL
    p = item(payload + size, end, c"#", &part)
    if p == NULL:
        return NULL
    value = integer(p, part)
    if value <= 0:
        return NULL
    number[0] = <uint64_t>value
    return p + part + 1


cdef Py_ssize_t decode_connect(
    const u8 *data, Py_ssize_t size, uint64_t *number, const u8 **token, Py_ssize_t *token_size,
) noexcept nogil:
    """The size of the whole C{connect} frame that C{data} begins with; 0 if there is none."""
    cdef const u8 *payload = NULL
    cdef const u8 *end
    cdef const u8 *p
    cdef Py_ssize_t length, part
    if size < 8:
        return 0
    length = frame_length(data, data + size, LONGEST_CONNECT, &payload)
    if length < 0 or data + size - payload <= length or payload[length] != c"]":
        return 0
    end = payload + length
    p = behind_number(payload, end, b"7:connect,", 10, number)
    if p == NULL:
        return 0
    p = item(p, end, c",", &part)
    if p == NULL or p + part + 1 != end:
        return 0
    token[0] = p
    token_size[0] = part
    return end + 1 - data


cdef bint decode_end(const u8 *payload, const u8 *end, uint64_t *number, int64_t *length) noexcept nogil:
    """Whether payload..end is an C{end} without trailers; C{length} is -1 where it tells none."""
    cdef const u8 *p = behind_number(payload, end, b"3:end,", 6, number)
    cdef const u8 *last
    cdef Py_ssize_t size
    if p == NULL:
        return False
    length[0] = -1
    if p == end:
        return True
    if end - p < 3 or memcmp(p, b"0:]", 3) != 0:
        return False
    p += 3
    if end - p == 3 and memcmp(p, b"0:}", 3) == 0:
        return True
    p = item(p, end, c"}", &size)
    if p == NULL or p + size + 1 != end or size < 9 or memcmp(p, b"6:length,", 9) != 0:
        return False
    last = p + size
    p = item(p + 9, last, c"#", &size)
    if p == NULL or p + size + 1 != last:
        return False
    length[0] = integer(p, size)
    return length[0] >= 0


cdef bint decode_body(
    const u8 *payload, const u8 *end, uint64_t *number, const u8 **data, Py_ssize_t *size,
) noexcept nogil:
    """Whether payload..end is a C{body} frame."""
    cdef const u8 *p = behind_number(payload, end, b"4:body,", 7, number)
    if p == NULL:
        return False
    p = item(p, end, c",", size)
    if p == NULL or p + size[0] + 1 != end or size[0] == 0:
        return False
    data[0] = p
    return True


cdef bint decode_credit(
    const u8 *payload, const u8 *end, uint64_t *number, int64_t *amount,
) noexcept nogil:
    """Whether payload..end is a C{credit} frame, of one byte or more."""
    cdef const u8 *p = behind_number(payload, end, b"6:credit,", 9, number)
    cdef Py_ssize_t part
    if p == NULL:
        return False
    p = item(p, end, c"#", &part)
    if p == NULL or p + part + 1 != end:
        return False
    amount[0] = integer(p, part)
    return amount[0] > 0


cdef bint decode_abort(
    const u8 *payload, const u8 *end, uint64_t *number, Text *code, Text *reason,
) noexcept nogil:
    """Whether payload..end is an C{abort} frame, with a reason or without."""
    cdef const u8 *p = behind_number(payload, end, b"5:abort,", 8, number)
    if p == NULL:
        return False
    p = item(p, end, c",", &code.size)
    if p == NULL or not 0 < code.size <= LONGEST_NAME:
        return False
    code.at = p
    p += code.size + 1
    reason.at = p
    reason.size = 0
    if p == end:
        return True
    p = item(p, end, c",", &reason.size)
    if p == NULL or p + reason.size + 1 != end or reason.size > LONGEST_REASON:
        return False
    reason.at = p
    return True


cdef inline u8 *back_integer(u8 *o, uint64_t value) noexcept nogil:
    cdef u8 *end
    o -= 1
    o[0] = c"#"
    end = o
    return back_length(back_number(o, value), end)


cdef bytes connect_frame(uint64_t number, bytes token):
    """C{Connect(number, token)}."""
    cdef u8 room[LONGEST_CONNECT + 16]
    cdef u8 *end = room + sizeof(room) - 1
    cdef u8 *o
    end[0] = c"]"
    o = back_string(end, PyBytes_AS_STRING(token), PyBytes_GET_SIZE(token))
    o = back_integer(o, number)
    o = back_bytes(o, b"7:connect,", 10)
    o = back_length(o, end)
    return PyBytes_FromStringAndSize(<char *>o, end + 1 - o)


cdef int end_frame(u8 *room, uint64_t number, const u8 **begin) noexcept nogil:
    """Write C{End(number)} into C{room}, of 64 bytes; return its size."""
    cdef u8 *end = room + 63
    cdef u8 *o
    end[0] = c"]"
    o = back_bytes(end, b"0:]0:}", 6)
    o = back_integer(o, number)
    o = back_bytes(o, b"3:end,", 6)
    o = back_length(o, end)
    begin[0] = o
    return <int>(end + 1 - o)


cdef bytes end_with_length(uint64_t number, uint64_t length):
    """C{End(number, [], {"length": length})}."""
    cdef u8 room[128]
    cdef u8 *end = room + 127
    cdef u8 *last = end - 1
    cdef u8 *o
    end[0] = c"]"
    last[0] = c"}"
    o = back_integer(last, length)
    o = back_bytes(o, b"6:length,", 9)
    o = back_length(o, last)
    o = back_bytes(o, b"0:]", 3)
    o = back_integer(o, number)
    o = back_bytes(o, b"3:end,", 6)
    o = back_length(o, end)
    return PyBytes_FromStringAndSize(<char *>o, end + 1 - o)


cdef bytes credit_frame(uint64_t number, uint64_t amount):
    """C{Credit(number, amount)}."""
    cdef u8 room[96]
    cdef u8 *end = room + 95
    cdef u8 *o
    end[0] = c"]"
    o = back_integer(back_integer(end, amount), number)
    o = back_bytes(o, b"6:credit,", 9)
    o = back_length(o, end)
    return PyBytes_FromStringAndSize(<char *>o, end + 1 - o)


cdef bytes body_frame(uint64_t number, const u8 *data, Py_ssize_t size):
    """C{Body(number, data)}."""
    cdef u8 room[96]
    cdef u8 *end = room + sizeof(room)
    cdef u8 *o = end - 1
    cdef u8 *p
    cdef Py_ssize_t head
    cdef bytes frame
    o[0] = c":"
    o = back_integer(back_number(o, <uint64_t>size), number)
    o = back_bytes(o, b"4:body,", 7)
    head = end - o
    o -= 1
    o[0] = c":"
    o = back_number(o, <uint64_t>(head + size + 1))
    head = end - o
    frame = PyBytes_FromStringAndSize(NULL, head + size + 2)
    p = <u8 *>PyBytes_AS_STRING(frame)
    memcpy(p, o, head)
    memcpy(p + head, data, size)
    p[head + size] = c","
    p[head + size + 1] = c"]"
    return frame


def body_frames(int number, bytes token, int length):
    """The frames that are written here, for tests: C{connect}, C{end} on a data connection and on a subscription."""
    cdef u8 room[64]
    cdef const u8 *begin = NULL
    cdef int size = end_frame(room, number, &begin)
    return (
        connect_frame(number, token),
        PyBytes_FromStringAndSize(<const char *>begin, size),
        end_with_length(number, length),
    )


def read_connect(bytes data):
    """C{decode_connect}, for tests: the size of the frame, the number and the token; or None."""
    cdef uint64_t number = 0
    cdef const u8 *token = NULL
    cdef Py_ssize_t token_size = 0
    cdef Py_ssize_t size = decode_connect(
        <const u8 *>PyBytes_AS_STRING(data), len(data), &number, &token, &token_size
    )
    if not size:
        return None
    return size, number, PyBytes_FromStringAndSize(<const char *>token, token_size)


def read_end(bytes payload):
    """C{decode_end}, for tests: the number and the length, which may be None; or None."""
    cdef uint64_t number = 0
    cdef int64_t length = -1
    cdef const u8 *begin = <const u8 *>PyBytes_AS_STRING(payload)
    if not decode_end(begin, begin + len(payload), &number, &length):
        return None
    return number, None if length < 0 else length


def read_credit(bytes payload):
    """C{decode_credit}, for tests: the number and the amount; or None."""
    cdef uint64_t number = 0
    cdef int64_t amount = 0
    cdef const u8 *begin = <const u8 *>PyBytes_AS_STRING(payload)
    if not decode_credit(begin, begin + len(payload), &number, &amount):
        return None
    return number, amount


def read_abort(bytes payload):
    """C{decode_abort}, for tests: the number, the code and the reason; or None."""
    cdef uint64_t number = 0
    cdef Text code, reason
    cdef const u8 *begin = <const u8 *>PyBytes_AS_STRING(payload)
    if not decode_abort(begin, begin + len(payload), &number, &code, &reason):
        return None
    return (
        number,
        PyBytes_FromStringAndSize(<const char *>code.at, code.size),
        PyBytes_FromStringAndSize(<const char *>reason.at, reason.size),
    )


def grant_frame(uint64_t number, uint64_t amount):
    """C{credit_frame}, for tests."""
    return credit_frame(number, amount)


def tunnel_frame(uint64_t number, bytes data):
    """C{body_frame}, for tests."""
    return body_frame(number, <const u8 *>PyBytes_AS_STRING(data), len(data))


def read_body(bytes payload):
    """C{decode_body}, for tests: the number and the data; or None."""
    cdef uint64_t number = 0
    cdef const u8 *data = NULL
    cdef Py_ssize_t size = 0
    cdef const u8 *begin = <const u8 *>PyBytes_AS_STRING(payload)
    if not decode_body(begin, begin + len(payload), &number, &data, &size):
        return None
    return number, PyBytes_FromStringAndSize(<const char *>data, size)
