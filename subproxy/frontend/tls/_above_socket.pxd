# What a connection over TLS passes on to its socket. See _above_socket.pyx.
from subproxy.reactor._receive cimport Receiver


cdef class AboveSocket(Receiver):
    cdef readonly object transport
