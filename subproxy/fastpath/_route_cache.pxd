# Routing and the choice of a subscriber. See _route_cache.pyx.
from cpython.object cimport PyObject

from libc.stdint cimport uint64_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._footprint cimport Footprint
from subproxy.fastpath._log_buffer cimport FastCounters
from subproxy.fastpath._waiting_queue cimport WaitingQueue


cdef class RouteEntry:
    # Where the requests for one host and path go.
    cdef bytes key  # path and host, as they were asked for
    cdef readonly object pool
    cdef FastCounters tally
    cdef readonly bytes name  # of the route, as the log has it
    cdef readonly bytes host  # as it was understood: one spelling of it, escaped
    cdef Footprint footprint
    cdef readonly object rules  # of its sites; None for none
    cdef bint asked  # a rule of them is asked at each request: that is for the Python path
    cdef bint to_https  # it only sends on to https who came without
    cdef object authorities  # a ClientAuthorities: who vouches for its clients; None: nobody
    cdef bint tells_tls  # some of its guests want to know of the TLS of clients
    cdef long most_body  # bytes of a body that they allow
    cdef double response_timeout  # seconds; negative: those of the limits
    cdef double queue_timeout  # likewise
    cdef bytes raw_host  # as it was understood

    cdef bint asks(self, bint trusted, bytes scheme, object tls) except -1


cdef struct Recent:
    uint64_t mix  # of host and path
    PyObject *way


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
    cdef Recent *recent  # of `young`, which keeps them: found without an object for their key
    cdef Py_ssize_t recent_size
    cdef size_t channel_size  # bytes of the objects of a guest
    cdef size_t fast_size
    cdef size_t stream_size
    cdef dict young
    cdef dict old
    cdef long generation
    cdef object counters
    cdef dict tallies
    cdef list dirty

    cdef RouteEntry route(self, const u8 *host, int host_size, const u8 *path, int path_size)
    cdef RouteEntry find(self, object key, const u8 *host, int host_size, const u8 *path, int path_size)
    cpdef settle(self)
    cdef int ask_ahead(self, RouteEntry way) noexcept
    cdef Recent *place(self, uint64_t mix) noexcept
    cdef int forget_recent(self, Py_ssize_t size) except -1
    cdef int learn_balancer(self) except -1
    cdef FastCounters tally(self, object pool)
    cdef object choose(self, object pool)
    cdef object choose_here(self, object pool, bint onward)
    cdef int count(self, object pool) except -1
    cdef int charge(self, object member, object pool) except -1
    cdef double weight(self, object member, double age) except? -1.0
