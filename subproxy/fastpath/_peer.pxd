# What another process of the proxy asks, on the compiled path. See _peer.pyx.
from libc.stdint cimport uint64_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._fast_client cimport FastClient
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._peer_frames cimport PeerRequest
from subproxy.reactor._frame_link cimport FrameLink
from subproxy.reactor._out_buffer cimport OutBuffer
from subproxy.reactor._turn_end cimport TurnEnd
from subproxy.reactor._stream cimport Receiver, Stream


cdef class FastPeerRequest(FastClient):
    cdef FastPeer front
    cdef readonly uint64_t number  # at the other process
    cdef readonly uint64_t asked  # at the guest
    cdef readonly object pool
    cdef readonly bytes frame  # as it was sent to the guest
    cdef readonly FastChannel channel
    cdef bint is_head


cdef class FastPeer(Receiver):
    cdef object protocol
    cdef object wire
    cdef object transport
    cdef FrameLink link  # the transport, where this is another host
    cdef Stream stream  # the transport, where this is another worker
    cdef object seconds  # tells the time, where somebody wants to know when something came last
    cdef readonly double heard  # when that was
    cdef FastContext path
    cdef TurnEnd turn_end
    cdef bint called
    cdef public bint awaited  # somebody waits to hear that nothing is under way
    cdef bint onward  # another worker may be asked
    cdef dict requests  # that guests have, by the number of the other process
    cdef readonly uint64_t last
    cdef readonly bint open
    cdef bytes held
    cdef Py_ssize_t wanted
    cdef Py_ssize_t frame_limit
    cdef Py_ssize_t inline_limit
    cdef Py_ssize_t inline
    cdef Py_ssize_t most
    cdef OutBuffer out

    cdef int keep(self, const u8 *data, Py_ssize_t size) except -1
    cdef Py_ssize_t walk(self, const u8 *data, Py_ssize_t size) except -1
    cdef bint begin(self, const PeerRequest *request, const u8 *end) except -1
    cdef int to_python(self, const u8 *data, Py_ssize_t size) except -1
    cdef int look(self) except -1
    cdef int soon(self) except -1
