# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""A request whose body is not here yet: its head, and the body in one piece as soon as it is here.

The body has room behind it for what ends the frame in which it goes to the guest: so it goes there
from where it was gathered (C{subproxy.fastpath._request_frame.encode}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._request_frame cimport FRAME_END

cdef enum:
    AHEAD = 5  # times what came there is room for: of a full buffer, all that rides in a frame
    TIGHT = 8  # ... or a part of what came, where a connection has many bodies at a time


cdef class BodyAssembly:
    """One after the other, of one connection."""

    cdef int start(
        self, const u8 *head, Py_ssize_t head_size, const u8 *data, Py_ssize_t size,
        Py_ssize_t length, bint tight=False,
    ) except -1:
        """Hold what came: a head, and some of a body of C{length} bytes. C{tight}: others do the same."""
        self.tight = tight
        self.head = PyBytes_FromStringAndSize(<const char *>head, head_size)
        self.length = length
        self.filled = size
        self.data = PyBytes_FromStringAndSize(NULL, self.room(size))
        if size:
            memcpy(PyBytes_AS_STRING(self.data), data, size)
        return 0

    cdef Py_ssize_t add(self, const u8 *data, Py_ssize_t size) except -1:
        """Take what came as far as it belongs to the body; return how many bytes that is.

        It may be where it belongs already.
        """
        cdef bytes larger
        cdef Py_ssize_t part = min(size, self.length - self.filled)
        if data != <const u8 *>PyBytes_AS_STRING(self.data) + self.filled:
            if self.filled + part + FRAME_END > PyBytes_GET_SIZE(self.data):
                # As much as came, some times over: not what a client says that it will send.
                larger = PyBytes_FromStringAndSize(NULL, self.room(self.filled + part))
                memcpy(PyBytes_AS_STRING(larger), PyBytes_AS_STRING(self.data), self.filled)
                self.data = larger
            memcpy(PyBytes_AS_STRING(self.data) + self.filled, data, part)
        self.filled += part
        return part

    cdef Py_ssize_t room(self, Py_ssize_t size) noexcept:
        """How large to make C{data}, for C{size} bytes of the body: in few steps, and not for all at once."""
        cdef Py_ssize_t came = PyBytes_GET_SIZE(self.head) + size
        cdef Py_ssize_t most = size + came // TIGHT if self.tight else AHEAD * came
        return min(self.length, most) + FRAME_END

    cdef Py_ssize_t spare(self) noexcept:
        """How many bytes of the body there is room for."""
        return min(self.length, PyBytes_GET_SIZE(self.data) - FRAME_END) - self.filled

    cdef bytes behind(self):
        """The body, which is whole, and the end of its frame."""
        cdef char *end
        if PyBytes_GET_SIZE(self.data) > self.filled + FRAME_END:
            self.data = self.data[:self.filled + FRAME_END]
        end = PyBytes_AS_STRING(self.data) + self.filled
        end[0] = c","
        end[1] = c"]"
        return self.data

    cdef bytes came(self):
        """What came of the body."""
        return self.data[:self.filled]

    cdef bytes all(self):
        """What came."""
        return self.head + self.data[:self.filled]
