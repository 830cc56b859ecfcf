# Routing and the choice of a subscriber. See _choice.pyx.
from cpython.object cimport PyObject

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._log cimport Tally


cdef class Way:
    # Where the requests for one host and path go.
    cdef readonly object pool
    cdef readonly bytes name  # of the route, as the log has it
    cdef Tally tally


cdef class Chooser:
    cdef object dispatcher
    cdef object admission
    cdef object router
    cdef object registry
    cdef object gate
    cdef object balancer
    cdef object random
    cdef object now
    cdef bint two
    cdef double slow_start
    cdef dict young
    cdef dict old
    cdef long generation
    cdef object counters
    cdef dict tallies
    cdef list dirty

    cdef Way route(self, const u8 *host, int host_size, const u8 *path, int path_size)
    cdef Way find(self, object key, const u8 *host, int host_size, const u8 *path, int path_size)
    cpdef settle(self)
    cdef Tally tally(self, object pool)
    cdef object choose(self, object pool)
    cdef int charge(self, object member, object pool) except -1
    cdef double weight(self, object member, double age) except? -1.0
    cdef int release(self, object member) except -1
