# Routing and the choice of a subscriber. See _route_cache.pyx.
from cpython.object cimport PyObject

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._log_buffer cimport FastCounters
from subproxy.fastpath._waiting_queue cimport WaitingQueue


cdef class RouteEntry:
    # Where the requests for one host and path go.
    cdef bytes key  # path and host, as they were asked for
    cdef readonly object pool
    cdef readonly bytes name  # of the route, as the log has it
    cdef bytes raw_host  # as it was understood
    cdef readonly bytes host  # likewise: one spelling of it, escaped
    cdef readonly object rules  # of its sites; None for none
    cdef bint asked  # a rule of them is asked at each request: that is for the Python path
    cdef bint to_https  # it only sends on to https who came without
    cdef object authorities  # a ClientAuthorities: who vouches for its clients; None: nobody
    cdef bint tells_tls  # some of its guests want to know of the TLS of clients
    cdef long most_body  # bytes of a body that they allow
    cdef double response_timeout  # seconds; negative: those of the limits
    cdef double queue_timeout  # likewise
    cdef FastCounters tally

    cdef bint asks(self, bint trusted, bytes scheme, object tls) except -1


cdef class RouteCache(WaitingQueue):
    cdef object router
    cdef object registry
    cdef object rules
    cdef object escape
    cdef object route_name
    cdef object balancer
    cdef object random
    cdef object now
    cdef bint two
    cdef double slow_start
    cdef list recent  # of `young`, found by `mixed` of the key, without an object for that
    cdef dict young
    cdef dict old
    cdef long generation
    cdef object counters
    cdef dict tallies
    cdef list dirty

    cdef RouteEntry route(self, const u8 *host, int host_size, const u8 *path, int path_size)
    cdef RouteEntry find(self, object key, const u8 *host, int host_size, const u8 *path, int path_size)
    cpdef settle(self)
    cdef int learn_balancer(self) except -1
    cdef FastCounters tally(self, object pool)
    cdef object choose(self, object pool)
    cdef object choose_here(self, object pool, bint onward)
    cdef int count(self, object pool) except -1
    cdef int charge(self, object member, object pool) except -1
    cdef double weight(self, object member, double age) except? -1.0
