# The body of an answer that goes from a data connection to the client. See _download.pyx.
from libc.stdint cimport int64_t, uint64_t

from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._fast_body cimport FastBody
from subproxy.fastpath._response cimport Answer


cdef class FastDownload(FastBody):
    cdef readonly bytes head  # the frame of the answer
    cdef int64_t told  # by `end`; -1 before
    cdef readonly bint stays
    cdef readonly int status
    cdef readonly double first_byte
    cdef readonly object acknowledged  # bytes, before the head; None if that is unknown
    cdef readonly bint expected  # its token went with the request, and its head has not come

    cdef int expect(self, FastChannel channel, uint64_t number) except -1
    cdef int unexpected(self) except -1
    cdef int begin(self, Answer *answer, const char *data, Py_ssize_t size) except -1
    cdef bint end_came(self, int64_t length) except -1
