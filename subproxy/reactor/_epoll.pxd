# Streams by readiness. See _epoll.pyx.
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t

from subproxy.reactor._engine cimport Engine, Handle
from subproxy.reactor._iovec cimport msghdr

cdef extern from "sys/epoll.h" nogil:
    ctypedef union epoll_data_t:
        void *ptr
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    uint32_t EPOLLIN, EPOLLPRI, EPOLLRDHUP

cdef enum:
    EVENTS = 256  # that are asked for at once
    NAME = 128  # bytes of a struct sockaddr_storage
    BUFFERS = 16  # of turns inside of turns


cdef inline uint32_t reads() noexcept:
    """What a descriptor that is read from is watched for."""
    return EPOLLIN | EPOLLRDHUP | EPOLLPRI


cdef struct Completion:
    PyObject *handle
    int tag
    int res
    uint32_t flags


cdef class Epoll(Engine):
    cdef int fd
    cdef unsigned opened  # how often something was given back to the kernel
    cdef int timer
    # Completions that are to be told: a queue.
    cdef Completion *queue
    cdef Py_ssize_t queue_room
    cdef Py_ssize_t queue_head
    cdef Py_ssize_t queue_tail
    # Handles that are readable, and of which the kernel says so no more.
    cdef list hot
    # Handles whose address may still be in an event that was fetched.
    cdef list closed
    # Events that were fetched to see whether there are any.
    cdef epoll_event fetched[EVENTS]
    cdef int nfetched
    # The connection that is being told of, and its peer's name.
    cdef int accepted
    cdef unsigned name_size
    cdef char name[NAME]
    cdef char *buffers[BUFFERS]
    cdef int taken

    cdef int hold(self, Handle handle) except -1
    cdef int let_go(self, Handle handle) except -1
    cdef int post(self, Handle handle, int tag, int res) except -1
    cdef int watch(self, Handle owner, int fd, uint32_t interest) except -1
    cdef int unwatch(self, Handle owner) except -1
    cdef int heat(self, Handle owner) except -1
    cdef void shut(self) noexcept
    cdef int push(self, Handle owner, int fd, const char *data, Py_ssize_t size, msghdr *header) noexcept
