# The body of a request that goes from the client to a data connection. See _upload.pyx.
from libc.stdint cimport int64_t, uint64_t

from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._fast_body cimport FastBody


cdef class FastUpload(FastBody):
    cdef readonly bytes came  # of it, with the head or before nothing was read any more
    cdef bint quiet  # nothing is read any more
    cdef readonly bint reading  # by us, in a flow
    cdef int64_t seen  # bytes that had moved when the sweeper looked last
    cdef object protocol  # of the Python path, which has what comes

    cdef int begin(self, FastChannel channel, uint64_t number, int64_t length) except -1
    cdef int go_on(self) except -1
    cdef bint slow(self) except -1
