# The stream half of a transport. See _stream.pyx.
from subproxy.reactor._engine cimport Engine
from subproxy.reactor._receive cimport Receiver
from subproxy.reactor._send cimport SendingStream


cdef class Stream(SendingStream):
    cdef object _socket
    cdef readonly object former
    cdef public bint TLS

    cdef int attach(self, Engine engine, int fd) except -1
    cdef int cwrite(self, bytes data) except -1
    cdef int cgather(self, const char *data, Py_ssize_t size) except -1
    cdef int detach(self) except -1
