# What of a client's connection is about bodies over data connections. See _answering_connection.pyx.
from libc.stdint cimport int64_t, uint64_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._client_sink cimport ClientSink
from subproxy.fastpath._fallback cimport ReplaceableConnection
from subproxy.fastpath._response cimport Answer
from subproxy.fastpath._upload cimport FastUpload
from subproxy.reactor._stream cimport Stream


cdef class AnsweringConnection(ReplaceableConnection):
    cdef Stream stream  # the transport, if it is one
    cdef ClientSink sink  # once a large body goes there

    cdef int take(self, const u8 *data, Py_ssize_t size) except -1
    cdef int write(self, bytes data) except -1
    cdef int undelay(self) except -1
    cdef int ended(self, bint stays, double now, int status) except -1
    cdef double patience(self) except? -1.0
    cdef ClientSink sinks(self)
    cdef int begin_tunnel(self, Answer *answer) except -1
    cdef int begin_download(self, Answer *answer) except -1
