# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""The first message of a TLS client where it is whole and in one record, as it mostly is: the
compiled twin of C{subproxy.frontend.tls.client_hello}, which reads all others."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from subproxy.frontend.tls import client_hello as _reference

cdef Py_ssize_t MOST = _reference.MAX_HELLO
cdef object ClientHello = _reference.ClientHello

cdef enum:
    HEADER = 5  # of a record
    RANDOM = 34  # the version, and 32 bytes


cdef object server_name(const unsigned char *at, const unsigned char *end):
    """The name that is asked for; None also where the message is malformed."""
    cdef int width
    cdef Py_ssize_t length
    cdef Py_ssize_t kind
    at += RANDOM
    for width in (1, 2, 1):  # session id, cipher suites, compression methods
        if end - at < width:
            return None
        length = at[0] if width == 1 else at[0] << 8 | at[1]
        at += width
        if end - at < length:
            return None
        at += length
    at += 2
    while end - at >= 4:
        kind = at[0] << 8 | at[1]
        length = at[2] << 8 | at[3]
        at += 4
        if end - at < length:
            return None
        if kind == 0:
            end = at + length
            if length < 5 or at[2] != 0:
                return None
            length = at[3] << 8 | at[4]
            at += 5
            if length == 0 or end - at < length:
                return None
            name = PyBytes_FromStringAndSize(<const char *>at, length).lower().removesuffix(b".")
            return name or None
        at += length
    return None


def read_client_hello(bytes data):
    """See the reference."""
    cdef const unsigned char *at = <const unsigned char *>PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef Py_ssize_t record
    cdef Py_ssize_t whole
    if size >= HEADER + 4 and at[0] == 0x16 and at[1] == 3 and at[HEADER] == 1:
        record = at[3] << 8 | at[4]
        whole = 4 + (at[6] << 16 | at[7] << 8 | at[8])
        if record <= MOST and whole <= MOST and whole <= record and size >= HEADER + whole:
            if whole < 4 + RANDOM:
                return ClientHello(None)
            return ClientHello(server_name(at + HEADER + 4, at + HEADER + whole))
    return _reference.read_client_hello(data)
