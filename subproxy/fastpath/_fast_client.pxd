# Who waits for what a guest says of an exchange. See _fast_client.pyx.
from libc.stdint cimport int64_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._response cimport Answer
from subproxy.reactor._stream cimport Receiver


cdef class FastClient(Receiver):
    cdef int answered(self, Answer *answer) except -1
    cdef bint end_came(self, int64_t length) except -1
    cdef bint body_came(self, const u8 *data, Py_ssize_t size) except -1
    cdef bint granted(self, int64_t amount) except -1
    cdef int hold_up(self, bint congested) except -1
    cdef int give_up(self) except -1
    cdef bint failed(self, object error) except -1
    cdef bint turn_came(self, object member) except -1
