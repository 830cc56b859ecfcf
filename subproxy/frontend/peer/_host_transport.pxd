# A connection with another host. See _host_transport.pyx.
from subproxy.frontend.peer._host_context cimport HostContext
from subproxy.frontend.tls._above_socket cimport AboveSocket
from subproxy.reactor._out_buffer cimport OutBuffer
from subproxy.reactor._receive cimport Receiver
from subproxy.reactor._turn_end cimport TurnEnd


cdef class CompiledHostTransport(AboveSocket):
    cdef void *ssl
    cdef HostContext context
    cdef object inner
    cdef Receiver receiver  # who is given plain text where it lies, in the place of inner
    cdef object clock
    cdef TurnEnd turn_end
    cdef object why  # a Failure: it broke
    cdef OutBuffer out
    cdef bint called

    cdef int write_body(self, const char *at, Py_ssize_t size) except -1
    cdef int soon(self) except -1
    cdef int encrypt(self) except -1
    cdef int send(self) except -1
    cdef int deliver(self, char *data, Py_ssize_t size) except -1
    cdef int broke(self, str why) except -1
