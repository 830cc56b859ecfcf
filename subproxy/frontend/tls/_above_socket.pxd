# What stands on a socket and speaks TLS. See _above_socket.pyx.
from subproxy.frontend.tls._openssl cimport Feed
from subproxy.reactor._frame_link cimport FrameLink
from subproxy.reactor._stream cimport Stream

cdef enum Stage:
    # subproxy.frontend.tls.states.TlsState
    HANDSHAKE, OPEN, HALF_CLOSED, LINGERING, OVER


cdef class AboveSocket(FrameLink):
    cdef Feed feed
    cdef readonly object transport
    cdef Stream stream  # transport, if it is one
    cdef bytes held  # what is here and not decrypted yet
    cdef int stage
    cdef bint paused
    cdef bint in_read
    cdef bint scheduled
    cdef bint offers  # the next receive has room for much
    cdef Py_ssize_t much  # bytes that it has room for then

    cdef int stand_on(self, object transport) except -1
    cdef int read(self) except -1
    cdef int offer(self, bint much) except -1
    cdef bint takes_much(self)
    cdef int pass_down(self, bytes data) except -1
    cdef int shake_hands(self) except -1
    cdef bint take_in(self) except -1
    cdef object clock_of_turns(self)
