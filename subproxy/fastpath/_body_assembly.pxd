# A request whose body is not here yet. See _gathering.pyx.
from subproxy.fastpath._bytes cimport u8


cdef class BodyAssembly:
    cdef bytes data  # head and body, with room for some that is to come
    cdef Py_ssize_t filled
    cdef Py_ssize_t whole
    cdef bint tight

    cdef Py_ssize_t room(self, Py_ssize_t size, Py_ssize_t whole) noexcept
    cdef int start(self, const u8 *data, Py_ssize_t size, Py_ssize_t whole, bint tight=*) except -1
    cdef Py_ssize_t add(self, const u8 *data, Py_ssize_t size) except -1
