# The client's side of the compiled path. See _front.pyx.
from subproxy.fastpath._answer cimport Answer
from subproxy.fastpath._asked cimport Asked
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._channel cimport Client, FastChannel
from subproxy.fastpath._gathering cimport Gathering
from subproxy.fastpath._scan cimport Head
from subproxy.fastpath._shared cimport Shared
from subproxy.fastpath._told cimport Told
from subproxy.reactor._stream cimport Stream


cdef class FastPath(Shared):
    pass


cdef enum Stage:
    IDLE, PARTIAL, GATHERING, WAITING, SLOW, CLOSING, OVER


cdef class FastFront(Client):
    cdef Shared path
    cdef readonly object transport
    cdef Stream stream
    cdef object slow
    cdef int stage
    cdef readonly long requests
    cdef public double deadline
    cdef readonly double due
    cdef readonly bint writable
    cdef readonly bint paused
    cdef bint undelayed
    cdef Told told
    cdef readonly bytes rest  # bytes behind the request that is being answered; or of a partial head
    cdef Gathering gathering  # the request whose body is not here yet
    # The request that is being answered:
    cdef readonly Asked asked
    cdef readonly FastChannel channel
    cdef readonly double started  # it, or what the stage is

    cdef int take(self, const u8 *data, Py_ssize_t size) except -1
    cdef bint begin(self, const u8 *data, Py_ssize_t size, Head *head) except -1
    cdef int gather(self, const u8 *data, Py_ssize_t size, Py_ssize_t whole) except -1
    cdef int gather_more(self, const u8 *data, Py_ssize_t size) except -1
    cdef int decline(self, const u8 *data, Py_ssize_t size) except -1
    cdef int become(self, object slow) except -1
    cdef int to_slow(self) except -1
    cdef int forget(self) except -1
