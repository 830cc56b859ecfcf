# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""The operations of an engine by readiness: one epoll descriptor, edge-triggered.

A send is tried where it is asked for. What waits, waits for an event: a descriptor has room for
one operation that reads and one that writes, whoever's they are. It is registered once, when
something first has to wait for it, and mostly never touched again:

* The kernel tells of a readable descriptor once. So that it is readable is noted (C{readable})
  until a receive finds that it is not: one that got less than it asked for has found so, without
  another system call. If the peer's end, an error or urgent data was told of too (C{ending}), more
  may be behind what was got.
* Where nobody reads, the first event is noted and the second one ends the interest; who reads again
  takes it up.
* Writability is asked for when the socket was full, and no more when it is told of in vain.
* Listening sockets and descriptors of others are level-triggered: they are left with something in
  them on purpose.

What events do is in C{_epoll_turn.pyx}.

Lifetimes: an event has the address of a C{Handle}. One that is registered is in the engine's list.
It is taken off before its descriptor is closed, for a copy of that may live on, in a relay or a
child; and it is kept until the events that were fetched before are told (C{closed}).
"""

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t
from libc.string cimport memcpy
from posix.unistd cimport close

from subproxy.reactor._engine cimport (
    INTERNET, OTHER, TAG_ACCEPT, TAG_FINISHED, TAG_READY, TAG_RECEIVE, TAG_SEND, TAG_SILENT, UNKNOWN, Engine,
    Handle,
)
from subproxy.reactor._iovec cimport msghdr
from subproxy.reactor._uapi cimport *

import os

cdef extern from "netinet/in.h" nogil:
    int IPPROTO_TCP

cdef extern from "sys/epoll.h" nogil:
    int epoll_create1(int)
    int epoll_ctl(int, int, int, epoll_event *)
    int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD
    uint32_t EPOLLET, EPOLLOUT

cdef extern from "sys/socket.h" nogil:
    int MSG_DONTWAIT, MSG_NOSIGNAL, SOL_SOCKET, SO_PROTOCOL
    int getsockopt(int, int, int, void *, unsigned *)
    Py_ssize_t recv(int, void *, size_t, int)
    Py_ssize_t c_send "send"(int, const void *, size_t, int)
    Py_ssize_t sendmsg(int, const msghdr *, int)

cdef extern from "sys/timerfd.h" nogil:
    int timerfd_create(int, int)
    int TFD_CLOEXEC, TFD_NONBLOCK

cdef extern from "time.h" nogil:
    int CLOCK_MONOTONIC


if ur_watch_forks() != 0:
    raise ImportError("pthread_atfork failed")


cdef class Epoll(Engine):
    """An epoll descriptor, and what is asked of it.

    C{size} is that of a receive buffer, of which there is one, and one more for each turn inside
    of a turn.
    """

    def __cinit__(self, int epoll_fd, on_epoll, *, int size=16384):
        self.fd = self.timer = self.accepted = -1
        self.size = size
        self.hot = []
        self.closed = []

    def __dealloc__(self):
        cdef int i
        self.shut()
        for i in range(BUFFERS):
            PyMem_Free(self.buffers[i])
        PyMem_Free(self.queue)

    cdef void shut(self) noexcept:
        if self.fd >= 0:
            close(self.fd)
            self.fd = -1
        if self.timer >= 0:
            close(self.timer)
            self.timer = -1

    @property
    def descriptor(self):
        """The epoll descriptor, or -1 while there is none."""
        return self.fd

    # -- set-up -------------------------------------------------------------

    cdef bint live(self) noexcept:
        return self.fd >= 0 and self.generation == ur_generation

    cdef int open(self) except -1:
        cdef epoll_event event
        self.abandon()
        self.fd = epoll_create1(EPOLL_CLOEXEC)
        if self.fd < 0:
            raise OSError(errno, f"epoll_create1: {os.strerror(errno)}")
        self.generation = ur_generation
        try:
            self.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
            if self.timer < 0:
                raise OSError(errno, f"timerfd_create: {os.strerror(errno)}")
            event.events = EPOLLIN | EPOLLET  # nobody reads it
            event.data.ptr = <void *>self
            if epoll_ctl(self.fd, EPOLL_CTL_ADD, self.timer, &event) < 0:
                raise OSError(errno, f"epoll_ctl: {os.strerror(errno)}")
            event.events = EPOLLIN
            event.data.ptr = NULL
            if epoll_ctl(self.fd, EPOLL_CTL_ADD, self.epoll_fd, &event) < 0:
                raise OSError(errno, f"epoll_ctl: {os.strerror(errno)}")
        except BaseException:
            self.shut()
            raise
        return 0

    cdef int abandon(self) except -1:
        cdef PyObject *at
        cdef Handle handle
        cdef Py_ssize_t i
        if self.fd < 0:
            return 0
        self.shut()
        self.opened += 1
        self.alarm_at = 0.0
        self.nfetched = 0
        self.hot = []
        # What was to be told is forgotten, as what was under way is.
        while self.queue_head < self.queue_tail:
            handle = <Handle>self.queue[self.queue_head].handle
            self.queue_head += 1
            self.let_go(handle)
        self.queue_head = self.queue_tail = 0
        at = self.first
        while at != NULL:
            handle = <Handle>at
            handle.reader_handle = handle.writer_handle = NULL
            handle.interest = 0
            handle.registered = handle.readable = handle.ending = handle.hot = handle.blocked = False
            at = handle.next
        return self.forsake()

    # -- bookkeeping --------------------------------------------------------

    cdef int hold(self, Handle handle) except -1:
        """One reason more for the handle to be in the list."""
        handle.ops += 1
        if handle.ops == 1:
            self.link(handle)
        return 0

    cdef int let_go(self, Handle handle) except -1:
        handle.ops -= 1
        if handle.ops == 0:
            self.unlink(handle)
        return 0

    cdef int post(self, Handle handle, int tag, int res) except -1:
        """Tell the handle, which is held for it, in this turn or the next."""
        cdef Completion *larger
        cdef Completion *entry
        if self.queue_tail == self.queue_room:
            larger = <Completion *>PyMem_Realloc(
                self.queue, (self.queue_room + 256) * sizeof(Completion))
            if larger == NULL:
                raise MemoryError
            self.queue = larger
            self.queue_room += 256
        entry = &self.queue[self.queue_tail]
        entry.handle = <PyObject *>handle
        entry.tag = tag
        entry.res = res
        self.queue_tail += 1
        return 0

    cdef int watch(self, Handle owner, int fd, uint32_t interest) except -1:
        """Have the kernel tell of C{interest}. Returns an error number, or zero."""
        cdef epoll_event event
        cdef int protocol = 0
        cdef unsigned size = sizeof(protocol)
        if not self.live():  # forked while a turn was on
            self.open()
        if owner.registered and owner.interest == interest:
            return 0
        event.events = interest
        event.data.ptr = <void *><PyObject *>owner
        if epoll_ctl(self.fd, EPOLL_CTL_MOD if owner.registered else EPOLL_CTL_ADD, fd, &event) < 0:
            # Either is a lack of memory that is set apart for this.
            return ENOMEM if errno == ENOSPC else errno
        owner.interest = interest
        owner.watched = fd
        if not owner.registered:
            owner.registered = True
            self.hold(owner)
            if owner.family == UNKNOWN:
                getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size)
                owner.family = INTERNET if protocol == IPPROTO_TCP else OTHER
        return 0

    cdef int unwatch(self, Handle owner) except -1:
        """Hear no more of it, ever; the caller holds a reference of its own."""
        cdef epoll_event event
        if owner.registered:
            epoll_ctl(self.fd, EPOLL_CTL_DEL, owner.watched, &event)
            owner.registered = owner.readable = owner.ending = False
            owner.interest = 0
            if self.depth or self.nfetched:
                self.closed.append(owner)
            self.let_go(owner)
        return 0

    cdef int heat(self, Handle owner) except -1:
        """It is readable, and the kernel will not say so again."""
        if not owner.hot:
            owner.hot = True
            self.hot.append(owner)
        return 0

    # -- operations ---------------------------------------------------------

    cdef bint receive(self, Handle handle, int fd, int most) except -1:
        cdef int error
        self.hold(handle)
        if not handle.interest & EPOLLIN:
            handle.readable = handle.ending = False
            error = self.watch(handle, fd, handle.interest | reads() | EPOLLET)
            if error:
                self.post(handle, TAG_RECEIVE, -error)
                return False
        elif handle.readable:
            self.heat(handle)
        handle.reader_handle = <PyObject *>handle
        handle.reader_tag = TAG_RECEIVE
        return False

    cdef int receive_into(self, Handle handle, Handle owner, int fd,
                          char *buffer, Py_ssize_t size) except -1:
        cdef Py_ssize_t n
        if owner.interest & EPOLLIN and not owner.readable:
            self.hold(handle)
            return self.post(handle, TAG_RECEIVE, -EAGAIN)
        n = recv(fd, buffer, size, MSG_DONTWAIT)
        if n < 0:
            n = -errno
            if n == -EAGAIN:
                owner.readable = owner.ending = False
        elif 0 < n < size and not owner.ending and owner.family == INTERNET:
            owner.readable = False
        self.hold(handle)
        return self.post(handle, TAG_RECEIVE, <int>n)

    cdef int await_readable(self, Handle handle, Handle owner, int fd) except -1:
        self.hold(handle)
        if not owner.interest & EPOLLIN:
            owner.readable = owner.ending = False
            if self.watch(
                owner, fd,
                EPOLLIN if handle is owner else owner.interest | reads() | EPOLLET,
            ):
                return self.post(handle, TAG_READY, 0)  # who can't wait has to try
        elif owner.readable and handle is not owner:
            return self.post(handle, TAG_READY, 0)
        owner.reader_handle = <PyObject *>handle
        owner.reader_tag = TAG_READY
        return 0

    cdef int push(self, Handle owner, int fd,
                  const char *data, Py_ssize_t size, msghdr *header) noexcept:
        """Send what can be sent at once: how much, or an error number below zero."""
        cdef Py_ssize_t n
        if data == NULL:
            n = sendmsg(fd, header, MSG_DONTWAIT | MSG_NOSIGNAL)
        else:
            n = c_send(fd, data, min(size, 0x40000000), MSG_DONTWAIT | MSG_NOSIGNAL)
        if n < 0:
            n = -errno
            if n == -EAGAIN:
                owner.blocked = True
        elif n < size:
            owner.blocked = True
        return <int>n

    cdef int send(self, Handle handle, Handle owner, int fd,
                  const char *data, Py_ssize_t size, msghdr *header) except -1:
        cdef int n
        self.hold(handle)
        if not owner.blocked:
            n = self.push(owner, fd, data, size, header)
            if n != -EAGAIN:
                return self.post(handle, TAG_SEND, n)
        n = self.watch(owner, fd, owner.interest | EPOLLOUT | EPOLLET)
        if n:
            return self.post(handle, TAG_SEND, -n)
        owner.writer_handle = <PyObject *>handle
        owner.writer_tag = TAG_SEND
        return 0

    cdef bint send_silent(self, Handle handle, int fd,
                          const char *data, Py_ssize_t size, msghdr *header) except -1:
        cdef int n = self.push(handle, fd, data, size, header)
        if n == size:
            return True
        self.hold(handle)
        self.post(handle, TAG_SILENT, n)
        return False

    cdef int accept(self, Handle handle, int fd, bint many) except -1:
        cdef int error
        self.hold(handle)
        handle.burst = max(1, handle.burst) if many else 0
        error = self.watch(handle, fd, EPOLLIN)
        if error:
            return self.post(handle, TAG_ACCEPT, -error)
        handle.reader_handle = <PyObject *>handle
        handle.reader_tag = TAG_ACCEPT
        return 0

    cdef int peer_name(self, int fd, void *name, unsigned *size) noexcept:
        if fd != self.accepted or self.name_size > size[0]:
            return Engine.peer_name(self, fd, name, size)
        memcpy(name, self.name, self.name_size)
        size[0] = self.name_size
        return 0

    cdef int nudge(self, Handle handle) except -1:
        self.hold(handle)
        return self.post(handle, TAG_FINISHED, 0)

    cdef int cancel(self, Handle handle, Handle owner, int tag) except -1:
        if tag == TAG_SEND:
            if owner.writer_handle == <PyObject *>handle:
                owner.writer_handle = NULL
                self.post(handle, tag, -ECANCELED)
        elif owner.reader_handle == <PyObject *>handle and owner.reader_tag == tag:
            owner.reader_handle = NULL
            self.post(handle, tag, -ECANCELED)
        return 0

    cdef int disown(self, Handle owner) except -1:
        return self.unwatch(owner)

    cdef int close_fd(self, Handle owner, int fd) except -1:
        cdef Handle handle
        if owner.reader_handle != NULL:
            handle = <Handle>owner.reader_handle
            owner.reader_handle = NULL
            self.post(handle, owner.reader_tag, -ECANCELED)
        if owner.writer_handle != NULL:
            handle = <Handle>owner.writer_handle
            owner.writer_handle = NULL
            self.post(handle, owner.writer_tag, -ECANCELED)
        self.unwatch(owner)
        close(fd)
        return 0

    cdef int park(self, Handle handle) except -1:
        # Only a ring is out of buffers.
        return 0

    cdef char *take(self, uint32_t flags) noexcept:
        return self.buffers[flags >> UR_CQE_BUFFER_SHIFT]

    cdef void recycle(self, char *buffer) noexcept:
        self.taken -= 1
