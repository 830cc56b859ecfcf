# Who asks guests. See _asking.pyx.
from libc.stdint cimport int64_t, uint64_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._fast_client cimport FastClient
from subproxy.fastpath._client_info cimport ClientInfo
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._pending cimport PendingRequest
from subproxy.fastpath._request_head cimport Head
from subproxy.fastpath._route_cache cimport RouteEntry


cdef int answered_over(FastChannel channel, bint data_connection) except -1


cdef class AskingClient(FastClient):
    cdef FastContext path
    cdef ClientInfo told
    # The request that is being answered:
    cdef readonly PendingRequest asked
    cdef readonly FastChannel channel
    cdef readonly double started  # it, or what the stage is
    cdef readonly double given  # when the guest was given it

    cdef bytes expect(self, FastChannel channel, uint64_t number)
    cdef bytes promise(self, FastChannel channel, uint64_t number, int64_t length)
    cdef bint know(self, const u8 *data, const Head *head) except -1
    cdef int give_id(self, Head *head) except -1
    cdef bint prepare(
        self, object member, const u8 *data, Head *head, Py_ssize_t body, RouteEntry way,
        bint apart=*
    ) except -1
    cdef bint make_frame(
        self, object member, const u8 *data, Head *head, Py_ssize_t body, RouteEntry way,
        bint apart, bint new
    ) except -1
    cdef int ask(self, bytes behind=*) except -1
    cdef int send(self, bytes behind=*) except -1
