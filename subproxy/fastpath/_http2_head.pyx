# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The fields of a request of HTTP/2, written as the text of a head of HTTP/1.1.

So they go through C{subproxy.fastpath._request_head.scan}, and what is made of them is made once.
What could mean something else in that text than among the fields is not written, but left to
Python: as C{scan} this judges nothing, and takes only what the reference surely accepts.

The same in Python: C{subproxy.frontend.http2.request_fields} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport realloc
from libc.string cimport memcmp

from subproxy.fastpath._bytes cimport put_bytes, u8, value_end
from subproxy.fastpath._hpack cimport BLOCK_READ, FastHpackDecoder, FieldList, Span, field_list
from subproxy.fastpath._tables cimport IS_TOKEN, Tables, tables

from subproxy.frontend.http2.request_fields import CONNECTION_SPECIFIC

cdef const Tables *T = tables()
cdef u8 *ROOM = NULL  # one head is written after the other, by whichever connection
cdef Py_ssize_t ROOM_SIZE = 0

if CONNECTION_SPECIFIC != {
    b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade",
}:
    raise ImportError("which fields are of the connection differs from the reference")


cdef inline bint of_connection(const u8 *name, int size) noexcept nogil:
    """C{CONNECTION_SPECIFIC}; and Host, of which Python knows more."""
    if size == 4:
        return memcmp(name, b"host", 4) == 0
    if size == 7:
        return memcmp(name, b"upgrade", 7) == 0
    if size == 10:
        return memcmp(name, b"connection", 10) == 0 or memcmp(name, b"keep-alive", 10) == 0
    if size == 16:
        return memcmp(name, b"proxy-connection", 16) == 0
    return size == 17 and memcmp(name, b"transfer-encoding", 17) == 0


cdef inline bint plain_name(const u8 *name, int size) noexcept nogil:
    """A token in lower case."""
    cdef int i
    for i in range(size):
        if not T.classes[name[i]] & IS_TOKEN or T.lower[name[i]] != name[i]:
            return False
    return size > 0


cdef inline bint visible(const u8 *value, int size) noexcept nogil:
    """Not empty, and no white space or control in it: nothing that ends a word or a line."""
    cdef int i
    for i in range(size):
        if value[i] <= 32 or value[i] == 127:
            return False
    return size > 0


cdef inline bint plain_value(const u8 *value, int size) noexcept nogil:
    """Nothing in it that ends a line, and no white space around it."""
    if size == 0:
        return True
    if value[0] == 32 or value[0] == 9 or value[size - 1] == 32 or value[size - 1] == 9:
        return False
    return value_end(value, value + size) == value + size


cdef inline bint is_trailers(const u8 *value, int size) noexcept nogil:
    """All that C{TE} may say (section 8.2.2)."""
    cdef int i
    if size != 8:
        return False
    for i in range(8):
        if T.lower[value[i]] != (<const u8 *>b"trailers")[i]:
            return False
    return True


cdef inline bint is_cookie(const u8 *name, int size) noexcept nogil:
    return size == 6 and memcmp(name, b"cookie", 6) == 0


cdef Py_ssize_t write_text(
    const FieldList *fields, const u8 *scheme, int scheme_size, u8 **text
) except -1:
    """Write the head of a request; return its size, or 0 if it is not plain.

    A zero stands behind it. C{scheme} is the one that the connection has.
    """
    cdef Py_ssize_t room = fields.used + 4 * fields.count + 64
    cdef const u8 *from_ = fields.text
    cdef const Span *span
    cdef const Span *path = NULL
    cdef const Span *method = NULL
    cdef const Span *authority = NULL
    cdef const u8 *name
    cdef const u8 *value
    cdef u8 *o
    cdef int i = 0, k, size
    cdef bint schemed = False, baked = False
    global ROOM, ROOM_SIZE
    if room > ROOM_SIZE:
        o = <u8 *>realloc(ROOM, room + 4096)
        if o == NULL:
            raise MemoryError
        ROOM = o
        ROOM_SIZE = room + 4096
    while i < fields.count:
        span = &fields.span[i]
        name = from_ + span.name_at
        value = from_ + span.value_at
        size = span.name_size
        if size == 0 or name[0] != 58:
            break
        if not visible(value, span.value_size):
            return 0
        if size == 5 and path == NULL and memcmp(name, b":path", 5) == 0:
            path = span
        elif size == 7 and method == NULL and memcmp(name, b":method", 7) == 0:
            method = span
        elif size == 7 and not schemed and memcmp(name, b":scheme", 7) == 0:
            if span.value_size != scheme_size or memcmp(value, scheme, scheme_size) != 0:
                return 0
            schemed = True
        elif size == 10 and authority == NULL and memcmp(name, b":authority", 10) == 0:
            authority = span
        else:
            return 0
        i += 1
    if path == NULL or method == NULL or authority == NULL or not schemed:
        return 0
    o = put_bytes(ROOM, from_ + method.value_at, method.value_size)
    o[0] = 32
    o = put_bytes(o + 1, from_ + path.value_at, path.value_size)
    o = put_bytes(o, b" HTTP/1.1\r\nHost: ", 17)
    o = put_bytes(o, from_ + authority.value_at, authority.value_size)
    o = put_bytes(o, b"\r\n", 2)
    while i < fields.count:
        span = &fields.span[i]
        name = from_ + span.name_at
        value = from_ + span.value_at
        i += 1
        if not plain_name(name, span.name_size) or not plain_value(value, span.value_size):
            return 0
        if of_connection(name, span.name_size):
            return 0
        if span.name_size == 2 and memcmp(name, b"te", 2) == 0 and not is_trailers(value, span.value_size):
            return 0
        if is_cookie(name, span.name_size):
            if span.value_size == 0:
                return 0
            if baked:
                continue
            baked = True
            o = put_bytes(o, b"cookie: ", 8)
            o = put_bytes(o, value, span.value_size)
            for k in range(i, fields.count):
                span = &fields.span[k]
                if is_cookie(from_ + span.name_at, span.name_size):
                    o = put_bytes(o, b"; ", 2)
                    o = put_bytes(o, from_ + span.value_at, span.value_size)
        else:
            o = put_bytes(o, name, span.name_size)
            o = put_bytes(o, b": ", 2)
            o = put_bytes(o, value, span.value_size)
        o = put_bytes(o, b"\r\n", 2)
    o = put_bytes(o, b"\r\n", 2)
    o[0] = 0
    text[0] = ROOM
    return o - ROOM


def head_text(FastHpackDecoder decoder, bytes block, bytes scheme=b"http"):
    """The decoder and the writer alone, for tests: the text; None if it is not plain."""
    cdef u8 *text
    cdef Py_ssize_t size
    cdef const u8 *begin = <const u8 *>PyBytes_AS_STRING(block)
    if decoder.read(begin, begin + PyBytes_GET_SIZE(block), 32768, 612) != BLOCK_READ:
        return None
    size = write_text(
        field_list(), <const u8 *>PyBytes_AS_STRING(scheme), <int>len(scheme), &text
    )
    return PyBytes_FromStringAndSize(<char *>text, size) if size else None
