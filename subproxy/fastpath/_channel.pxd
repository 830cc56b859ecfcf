# The guest's side of the compiled path. See _channel.pyx.
from libc.stdint cimport uint64_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._claim_watch cimport ClaimTable
from subproxy.fastpath._fast_client cimport FastClient
from subproxy.fastpath._fast_exchanges cimport FastExchanges
from subproxy.reactor._frame_link cimport FrameLink
from subproxy.reactor._stream cimport Stream


cdef class FastChannel(FastExchanges):
    cdef object protocol
    cdef object wire
    cdef list out
    cdef dict exchanges  # of the wire
    cdef readonly object channel
    cdef readonly object member
    cdef readonly bytes name  # the member's identity, as the log has it
    cdef object transport
    cdef Stream stream
    cdef FrameLink link  # the transport, where this is another host
    cdef readonly bint open
    cdef bint walking
    cdef bint behind  # Python has frames that wait for their turn
    cdef object share  # of the reactor's time
    cdef double most_used  # seconds of it that may be used before the next turn
    cdef double began  # when what is being counted began; 0 if that is guessed by its size
    cdef uint64_t last
    cdef bytes held  # what has come of a frame that is not whole, so far:
    cdef readonly Py_ssize_t held_size
    cdef Py_ssize_t counted  # of what is held; 0 while that is little
    cdef object part  # of what the virtual machine makes us hold: that of what is held here
    cdef object account
    cdef long quota  # bytes that it may make us hold, as was last asked
    cdef Py_ssize_t held_room
    cdef Py_ssize_t wanted  # bytes that it is to have; 0 if that is not known
    cdef bint offering  # the stream may receive the rest where that is held
    cdef bint narrow  # ... and ends each other receive early, so that little is copied
    cdef Py_ssize_t frame_limit
    cdef Py_ssize_t inline_limit
    cdef readonly Py_ssize_t most
    cdef readonly Py_ssize_t inline
    # Of bodies over data connections:
    cdef bint bulk  # there are such here
    cdef bint ahead  # and the guest takes tokens for them with requests
    cdef readonly long long least_bulk  # bytes from which a request's body goes there; 0: none does
    cdef object identity
    cdef ClaimTable claims
    cdef object pump
    cdef object pipes

    cdef int begin(
        self, FastClient client, uint64_t number, const u8 *frame, Py_ssize_t size, bint congested,
        bytes behind=*
    ) except -1
    cdef int say(self, bytes frame) except -1
    cdef bint congested(self) except -1
    cdef object body_carrier(self, uint64_t number)
    cdef bint body_came(self, object carrier, const u8 *data, Py_ssize_t size) except -1
    cdef int feed(self, const u8 *data, Py_ssize_t size) except -1
    cdef int take(self, const u8 *data, Py_ssize_t size) except -1
    cdef int hold(self, const u8 *data, Py_ssize_t size) except -1
    cdef Py_ssize_t room(self, Py_ssize_t size) noexcept
    cdef int offer(self) except -1
    cdef int count_held(self) except -1
    cdef int use(self, double seconds) except -1
    cdef bint exhausted(self) except -1
    cdef bint spent(self, bint timed) except -1
    cdef int wait(self) except -1
    cdef Py_ssize_t walk(self, const u8 *data, Py_ssize_t size) except -1
    cdef bint to_python(self, const u8 *data, Py_ssize_t size) except -1
