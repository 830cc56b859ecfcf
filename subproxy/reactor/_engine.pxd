# What moves the bytes of streams, and what it tells of that. See _engine.pyx.
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t

from subproxy.reactor._iovec cimport msghdr
from subproxy.reactor._log_context cimport LogContext


cdef enum Tag:
    # What an operation is, in the low three bits of a ring's user data.
    TAG_FINISHED = 0  # not an operation: a silent one is known to have succeeded
    TAG_RECEIVE = 1
    TAG_SEND = 2
    TAG_ACCEPT = 3
    TAG_EPOLL = 4
    TAG_SILENT = 5
    TAG_READY = 6
    TAG_ALARM = 7
    TAG_MASK = 7


cdef enum Family:
    UNKNOWN = 0
    INTERNET = 1  # TCP
    OTHER = 2  # see EpollLoop.pull


cdef class Handle:
    cdef Engine engine
    cdef int ops
    cdef bint queued
    cdef PyObject *prev
    cdef PyObject *next
    cdef object __weakref__
    # Of the epoll engine alone: see _epoll.pyx.
    cdef int watched  # the descriptor
    cdef uint32_t interest  # what the kernel is asked to tell of it; 0: it knows nothing of it
    cdef PyObject *reader_handle  # whose operation waits until it is readable
    cdef PyObject *writer_handle
    cdef unsigned char reader_tag
    cdef unsigned char writer_tag
    cdef unsigned char registered
    cdef unsigned char readable
    cdef unsigned char blocked  # the socket was full
    cdef unsigned char ending  # the peer's end, an error or urgent data has been told of
    cdef unsigned char hot  # is in the list of those that are readable, and are told no more
    cdef unsigned char family  # see Family
    cdef unsigned char burst  # connections that are accepted at once

    cdef int complete(self, int tag, int res, uint32_t flags) except -1
    cdef int settle(self) except -1
    cdef int orphan(self) except -1
    cdef int parted(self, Handle other) except -1


cdef class Engine:
    cdef unsigned generation
    cdef list todo
    cdef PyObject *first
    cdef int depth
    cdef bint called
    cdef bint stale  # what C{run} has looked up of its reactor may have changed
    cdef LogContext context
    cdef dict context_entry
    cdef list contexts
    cdef readonly bint looping
    cdef int epoll_fd
    cdef object on_epoll
    cdef readonly int size  # bytes of a receive buffer
    cdef public bint capped  # the kernel lets multishot receives be limited, as far as is known
    cdef double alarm_at  # when we are woken at the latest
    cdef readonly unsigned long turns  # that have begun
    cdef readonly unsigned long enters  # system calls that may have waited
    cdef readonly unsigned long completions
    cdef readonly unsigned long alarms
    cdef readonly unsigned long starvations
    cdef readonly unsigned long overflows

    cdef bint live(self) noexcept
    cdef int open(self) except -1
    cdef int abandon(self) except -1
    cdef int flush(self) except -1
    cdef int drain(self) except -1
    cdef int look(self, double timeout) except -1
    cdef int release(self) except -1
    cdef int settle(self) except -1
    cdef bint turn(self, double timeout) except -1
    cdef bint waits(self) except -1
    cdef int forsake(self) except -1
    cdef void link(self, Handle handle) noexcept
    cdef void unlink(self, Handle handle) noexcept

    # Operations.
    cdef bint receive(self, Handle handle, int fd, int most) except -1
    cdef int receive_into(self, Handle handle, Handle owner, int fd,
                          char *buffer, Py_ssize_t size) except -1
    cdef int await_readable(self, Handle handle, Handle owner, int fd) except -1
    cdef int send(self, Handle handle, Handle owner, int fd,
                  const char *data, Py_ssize_t size, msghdr *header) except -1
    cdef bint send_silent(self, Handle handle, int fd,
                          const char *data, Py_ssize_t size, msghdr *header) except -1
    cdef int accept(self, Handle handle, int fd, bint many) except -1
    cdef int peer_name(self, int fd, void *name, unsigned *size) noexcept
    cdef int nudge(self, Handle handle) except -1
    cdef int cancel(self, Handle handle, Handle owner, int tag) except -1
    cdef int disown(self, Handle owner) except -1
    cdef int close_fd(self, Handle owner, int fd) except -1
    cdef int park(self, Handle handle) except -1
    cdef char *take(self, uint32_t flags) noexcept
    cdef void recycle(self, char *buffer) noexcept


cdef inline int enqueue(Handle handle) except -1:
    """Have the handle settled before the reactor sleeps next."""
    if not handle.queued:
        handle.queued = True
        handle.engine.todo.append(handle)
    return 0


cdef inline void calls(Handle handle) noexcept:
    """Python is about to be called on behalf of the handle.

    What is called may stop the reactor or make a timer, so a turn in which it
    was called before the wait does not wait.
    """
    handle.engine.called = True
    handle.engine.context.owner = handle
