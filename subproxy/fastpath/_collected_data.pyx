# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""DATA frames of one body that came in a turn, for Python as one: each is copied once.

What is left of a read behind the head of a frame is mostly of the same body, and so there is room
made for that at the first of them.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

cdef extern from "../reactor/gather.h":
    object take_only(list)
    int trim_last(list, Py_ssize_t) except -1


cdef CollectedData collected_data(uint32_t number):
    """Nothing yet, of the stream with that number."""
    cdef CollectedData made = CollectedData.__new__(CollectedData)
    made.number = number
    made.piece = []
    return made


cdef class CollectedData:
    """Made by C{collected_data}."""

    cdef bint takes(self, uint32_t number, uint32_t size) noexcept:
        """Whether a frame of so many bytes, of that stream, may come behind those before."""
        return (
            self.number == number and not self.flags & END_STREAM
            and self.size + size <= MOST_COLLECTED
        )

    cdef int add(self, const u8 *p, uint32_t size, int flags, Py_ssize_t rest) except -1:
        """
        A frame with these C{size} bytes came.

        @param rest: bytes of the read from C{p} on.
        """
        cdef Py_ssize_t room = self.size + max(min(rest, MOST_COLLECTED - self.size), size)
        if not self.piece:
            self.piece.append(PyBytes_FromStringAndSize(NULL, room))
        elif PyBytes_GET_SIZE(self.piece[0]) < self.size + size:
            trim_last(self.piece, room)
        memcpy(PyBytes_AS_STRING(self.piece[0]) + self.size, p, size)
        self.size += size
        self.flags = flags
        return 0

    cdef bytes data(self):
        """All that came; it is not asked twice."""
        if not self.piece:
            return b""  # there was no memory for it, and its connection ends
        trim_last(self.piece, self.size)
        return take_only(self.piece)
