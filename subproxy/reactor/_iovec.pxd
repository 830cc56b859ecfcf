# Bytes that go out together. See _gather.pyx.

cdef extern from "sys/uio.h" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "sys/socket.h" nogil:
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen

cdef enum:
    GATHERED = 64  # chunks at most


cdef class IOVectors:
    cdef list chunks
    cdef msghdr header
    cdef iovec parts[GATHERED]
    cdef readonly Py_ssize_t size

    @staticmethod
    cdef IOVectors first(list out)
