# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""A request whose body is not here yet: head and body, in one piece as soon as they are here."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from subproxy.fastpath._bytes cimport u8

cdef enum:
    AHEAD = 4  # times what came of a body there is room for
    TIGHT = 8  # ... or a part of what came, where a connection has many bodies at a time


cdef class BodyAssembly:
    """One after the other, of one connection."""

    cdef int start(self, const u8 *data, Py_ssize_t size, Py_ssize_t whole, bint tight=False) except -1:
        """Hold what came; with the body it will be C{whole} bytes. C{tight}: others do the same."""
        self.tight = tight
        self.data = PyBytes_FromStringAndSize(NULL, self.room(size, whole))
        memcpy(PyBytes_AS_STRING(self.data), data, size)
        self.filled = size
        self.whole = whole
        return 0

    cdef Py_ssize_t add(self, const u8 *data, Py_ssize_t size) except -1:
        """Take what came as far as it belongs to the body; return how many bytes that is."""
        cdef bytes larger
        cdef Py_ssize_t part = min(size, self.whole - self.filled)
        if self.filled + part > PyBytes_GET_SIZE(self.data):
            # As much as came, some times over: not what a client says that it will send.
            larger = PyBytes_FromStringAndSize(NULL, self.room(self.filled + part, self.whole))
            memcpy(PyBytes_AS_STRING(larger), PyBytes_AS_STRING(self.data), self.filled)
            self.data = larger
        memcpy(PyBytes_AS_STRING(self.data) + self.filled, data, part)
        self.filled += part
        return part

    cdef Py_ssize_t room(self, Py_ssize_t size, Py_ssize_t whole) noexcept:
        """How much room there is for C{size} bytes, of C{whole}: in few steps, and not for all at once."""
        return min(whole, size + size // TIGHT if self.tight else AHEAD * size)
