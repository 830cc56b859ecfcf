# The request that is being answered. See _pending.pyx.
from libc.stdint cimport int64_t, uint64_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._route_cache cimport RouteEntry
from subproxy.fastpath._log_buffer cimport FastLogBuffer
from subproxy.fastpath._request_head cimport Field, Head
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._client_info cimport ClientInfo, ClientOrigin


cdef class PendingRequest:
    # No head is longer than MOST_HEAD: a short is enough for all that is in it.
    cdef RouteEntry way
    cdef readonly uint64_t number
    cdef bytes data  # head and body, as they came
    cdef bytes behind  # the body, and what ends its frame, if that was gathered apart from the head
    cdef bytes client
    cdef ClientOrigin origin  # by the word of a trusted peer; None: the client is the peer
    cdef bytes prefix  # of its id
    cdef uint64_t id  # if the request brought none that is taken over
    cdef readonly object earlier  # EarlierAttempts; None: nobody had it before
    cdef readonly double queued  # seconds that it has waited for a guest to have room
    cdef readonly int64_t received  # bytes of body, in `data` or not
    cdef bytes traceparent  # that it was given; None: it has its own, or traces are not followed
    cdef readonly bytes tunnel  # the protocol for which it asks for one, as the guest spells it; or None
    cdef short id_at
    cdef short id_size
    cdef short head_size
    cdef short method_size
    cdef short line_size
    cdef short agent_at
    cdef short agent_size
    cdef short referer_at
    cdef short referer_size
    cdef short trace_at  # its own
    cdef short key_at  # of the handshake of a WebSocket
    cdef readonly unsigned char streamed  # its body is not in `data`
    cdef unsigned char is_head
    cdef unsigned char close
    cdef unsigned char http2

    cdef int keep(self, bytes data, const u8 *at, const Head *head, bytes behind=*) except -1
    cdef int forget(self) except -1
    cdef int shorten(self, FastContext path, ClientInfo told) except -1
    cdef bytes websocket_key(self)
    cdef u8 *put_id(self, u8 *o)
    cdef bint reread(self, ClientInfo told, Head *head) except -1
    cdef bytes frame(self, FastContext path, ClientInfo told)
    cdef int log(
        self, FastLogBuffer lines, bytes member, int status, Py_ssize_t sent, double guest,
        double first, double seconds,
    ) except -1


cdef bint acceptable(const Field *sent) noexcept nogil
