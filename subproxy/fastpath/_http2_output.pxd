# What one connection of HTTP/2 writes, on the compiled path. See _http2_output.pyx.
from libc.stdint cimport uint32_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._http2_counts cimport FastHttp2Counts
from subproxy.reactor._out_buffer cimport OutBuffer
from subproxy.reactor._turn_end cimport TurnEnd
from subproxy.reactor._stream cimport Stream


cdef class FastHttp2Output:
    cdef FastContext path
    cdef object transport
    cdef Stream stream
    cdef TurnEnd turn_end
    cdef readonly FastHttp2Counts counts
    cdef object tls  # a ClientTls; None: it has none, or not of ours
    cdef readonly object shell
    cdef dict streams
    cdef list leaving  # streams that Python is to have as soon as there is time; None for none
    cdef OutBuffer out
    cdef Py_ssize_t peer_list_size
    cdef bint called  # the end of the turn will be told
    cdef bint tells  # and the shell wants to hear of it
    cdef readonly bint over
    cdef public bint writable

    cdef int put_window(self, uint32_t more) except -1
    cdef u8 *reserve(self, Py_ssize_t size) except NULL
    cdef int soon(self) except -1
    cdef int flush(self) except -1
