# A request whose body is not here yet. See _body_assembly.pyx.
from subproxy.fastpath._bytes cimport u8


cdef class BodyAssembly:
    cdef bytes head  # as it came
    cdef bytes data  # of the body, with room for some that is to come, and for the end of a frame
    cdef Py_ssize_t filled  # bytes of the body
    cdef Py_ssize_t length  # ... of so many
    cdef bint tight

    cdef Py_ssize_t room(self, Py_ssize_t size) noexcept
    cdef int start(
        self, const u8 *head, Py_ssize_t head_size, const u8 *data, Py_ssize_t size,
        Py_ssize_t length, bint tight=*,
    ) except -1
    cdef Py_ssize_t add(self, const u8 *data, Py_ssize_t size) except -1
    cdef Py_ssize_t spare(self) noexcept
    cdef bytes behind(self)
    cdef bytes came(self)
    cdef bytes all(self)
