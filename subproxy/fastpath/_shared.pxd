# What all connections of one frontend share. See _shared.pyx.
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._choice cimport Chooser
from subproxy.fastpath._log cimport Lines
from subproxy.fastpath._scan cimport Bounds
from subproxy.fastpath._told cimport Clients

cdef enum:
    MOST_HEAD = 16384  # bytes of a head, above which Python has it


cdef class Shared:
    cdef readonly object factory
    cdef object connections
    cdef object monotonic
    cdef bint real_time
    cdef readonly Chooser chooser
    cdef Clients clients
    cdef Lines lines
    cdef Bounds bounds
    cdef long most_requests
    cdef long most_connections
    cdef double keepalive_timeout
    cdef double look_early  # how long before an idle connection's end its last answer is looked after
    cdef double header_timeout
    cdef double response_timeout
    cdef long most_inline  # bytes of a body that is sent on from here
    cdef object next_id
    cdef bytes prefix
    cdef public bytes date
    cdef public bint draining
    cdef readonly long answered
    cdef readonly long declined_requests
    cdef readonly long declined_answers
    cdef u8 *scratch
    cdef Py_ssize_t scratch_size

    cdef double now(self) except? -1.0
    cdef u8 *room(self, Py_ssize_t size) except NULL
