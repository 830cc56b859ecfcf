# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""Bytes that go out together, where copying them together would cost more."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memset


cdef class IOVectors:
    """The header of a C{sendmsg}, and the chunks that it points into."""

    @staticmethod
    cdef IOVectors first(list out):
        """The first chunks of C{out}, which loses them."""
        cdef IOVectors made = IOVectors.__new__(IOVectors)
        cdef Py_ssize_t i, n = min(len(out), GATHERED)
        cdef bytes chunk
        made.chunks = out[:n]
        del out[:n]
        memset(&made.header, 0, sizeof(msghdr))
        made.header.msg_iov = made.parts
        made.header.msg_iovlen = n
        for i in range(n):
            chunk = made.chunks[i]
            made.parts[i].iov_base = PyBytes_AS_STRING(chunk)
            made.parts[i].iov_len = PyBytes_GET_SIZE(chunk)
            made.size += PyBytes_GET_SIZE(chunk)
        return made

    def joined(self):
        """All of it as one bytes object."""
        return b"".join(self.chunks)
