# Who waits for a guest to have room. See _waiting_queue.pyx.
from subproxy.fastpath._fast_client cimport FastClient


cdef class WaitingQueue:
    cdef object dispatcher
    cdef object admission
    cdef object failing
    cdef bint relieving

    cdef object choose_now(self, object pool)
    cdef object wait(self, FastClient client, object pool, double patience, double now)
    cdef int release(self, object member, int status=*) except -1
    cdef int relieve(self, object member) except -1
    cdef int remove(self, object ticket, object pool, object queue) except -1
    cdef int judge(self, object member, int status) except -1
