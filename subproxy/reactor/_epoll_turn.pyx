# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""The turns of an engine by readiness: events, and what they do."""

from cpython.mem cimport PyMem_Malloc
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t
from libc.string cimport memmove, memset

from subproxy.reactor._engine cimport INTERNET, TAG_ACCEPT, TAG_READY, TAG_RECEIVE, TAG_SEND, Handle
from subproxy.reactor._epoll cimport (
    BUFFERS, EVENTS, NAME, EPOLLIN, EPOLLPRI, EPOLLRDHUP, Completion, Epoll, epoll_event, reads,
)
from subproxy.reactor._iovec cimport iovec
from subproxy.reactor._uapi cimport *

import os

cdef extern from "errno.h" nogil:
    int ECONNABORTED

cdef extern from "sys/epoll.h" nogil:
    int epoll_wait(int, epoll_event *, int, int)
    uint32_t EPOLLERR, EPOLLET, EPOLLHUP, EPOLLOUT

cdef extern from "sys/socket.h" nogil:
    struct sockaddr:
        pass
    struct received "msghdr":
        iovec *msg_iov
        size_t msg_iovlen
        int msg_flags
    int MSG_CTRUNC, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_NONBLOCK
    int accept4(int, sockaddr *, unsigned *, int)
    Py_ssize_t recv(int, void *, size_t, int)
    Py_ssize_t recvmsg(int, received *, int)

cdef extern from "sys/timerfd.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    struct itimerspec:
        timespec it_interval
        timespec it_value
    int timerfd_settime(int, int, const itimerspec *, itimerspec *)

cdef enum:
    SHIFT = 64  # bytes of a buffer behind what is received, for a terminating zero
    BURST = 64  # connections that are accepted at once, at most
    FRUITLESS = 16  # connections that were given up in the meantime, likewise

cdef uint32_t ENDS = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI


cdef class EpollLoop(Epoll):
    """An epoll descriptor that is waited for: what a reactor has."""

    # -- the turn -----------------------------------------------------------

    cdef int look(self, double timeout) except -1:
        cdef epoll_event events[EVENTS]
        cdef bint waits = False
        cdef list hot
        cdef Handle owner
        cdef int n
        if not self.live():  # forked while a turn was on
            self.open()
            return 0
        if self.queue_head < self.queue_tail:
            # How a send went is told before what is received after it: one that failed has taken
            # the error with it, and a receive finds an end that looks orderly.
            self.drain()
        if timeout != 0.0 and not (
            self.called or self.todo or self.hot or self.nfetched
            or self.queue_head < self.queue_tail
        ):
            if timeout > 0.0:
                self.set_alarm(timeout)
            waits = True
            with nogil:
                n = epoll_wait(self.fd, events, EVENTS, -1)
        else:
            n = epoll_wait(self.fd, events, EVENTS, 0)
        if n < 0 and errno != EINTR:
            raise OSError(errno, f"epoll_wait: {os.strerror(errno)}")
        self.enters += 1
        hot = self.hot if self.hot else None
        if hot is not None:
            self.hot = []
        try:
            if self.nfetched:
                self.tell_fetched()
            self.tell(events, n)
            while hot is not None and hot:
                owner = hot.pop()
                owner.hot = False
                if owner.readable and owner.reader_handle != NULL:
                    self.read_ready(owner)
        finally:
            if hot is not None:
                self.hot.extend(hot)
        if self.depth == 1 and self.closed and not self.nfetched:
            self.closed = []
        return waits

    cdef int tell_fetched(self) except -1:
        cdef epoll_event events[EVENTS]
        cdef int i, n = self.nfetched
        for i in range(n):
            events[i] = self.fetched[i]
        self.nfetched = 0
        return self.tell(events, n)

    cdef int tell(self, epoll_event *events, int n) except -1:
        """Have the events act."""
        cdef int i = 0
        cdef unsigned opened = self.opened
        cdef void *whose
        try:
            while i < n:
                i += 1
                self.events += 1
                whose = events[i - 1].data.ptr
                if whose == NULL:
                    self.on_epoll()
                elif whose == <void *>self:
                    self.alarm_at = 0.0
                else:
                    self.ready(<Handle>whose, events[i - 1].events)
                if self.opened != opened:
                    break  # closed by who was called
        except BaseException:
            # They are not told of again.
            if self.opened == opened:
                while i < n and self.nfetched < EVENTS:
                    self.fetched[self.nfetched] = events[i]
                    self.nfetched += 1
                    i += 1
            raise
        return 0

    cdef int drain(self) except -1:
        """Tell what was posted before; what that leads to is for the next time."""
        cdef Py_ssize_t end
        cdef unsigned opened = self.opened
        cdef Completion entry
        cdef Handle handle
        if self.queue_head:
            memmove(self.queue, self.queue + self.queue_head,
                    (self.queue_tail - self.queue_head) * sizeof(Completion))
            self.queue_tail -= self.queue_head
            self.queue_head = 0
        end = self.queue_tail
        while self.queue_head < end:
            entry = self.queue[self.queue_head]
            self.queue_head += 1
            if self.queue_head == self.queue_tail:
                self.queue_head = self.queue_tail = end = 0
            handle = <Handle>entry.handle
            self.completions += 1
            self.let_go(handle)
            handle.complete(entry.tag, entry.res, 0)
            if self.opened != opened:
                break  # closed by who was called
        return 0

    cdef bint waits(self) except -1:
        cdef int i, n
        cdef Handle owner
        cdef void *whose
        if self.hot or self.nfetched or self.queue_head < self.queue_tail:
            return True
        n = epoll_wait(self.fd, self.fetched, EVENTS, 0)
        for i in range(n):
            whose = self.fetched[i].data.ptr
            if whose == <void *>self:
                self.alarm_at = 0.0
                continue
            if whose != NULL:
                owner = <Handle>whose
                if owner.reader_handle == NULL and not owner.interest & EPOLLET:
                    continue  # who asks is called because of it; and it will be told of again
            self.fetched[self.nfetched] = self.fetched[i]
            self.nfetched += 1
        return self.nfetched > 0

    cdef int set_alarm(self, double seconds) except -1:
        """See that something happens in so many seconds.

        Not by a timeout of each wait, which is set and taken back by each: setting a timer is slow
        on a virtual machine. This one stays until it is over, or something earlier is waited for.
        It may wake us for nothing, once.
        """
        cdef double now = ur_now()
        cdef double at = now + min(seconds, 1e6)
        cdef itimerspec when
        if now < self.alarm_at <= at + UR_LATE:
            return 0
        memset(&when, 0, sizeof(when))
        seconds = at - now
        when.it_value.tv_sec = <long>seconds
        when.it_value.tv_nsec = max(1, <long>((seconds - <double>when.it_value.tv_sec) * 1e9))
        if timerfd_settime(self.timer, 0, &when, NULL) < 0:
            raise OSError(errno, f"timerfd_settime: {os.strerror(errno)}")
        self.alarm_at = at
        self.alarms += 1
        return 0

    # -- events -------------------------------------------------------------

    cdef int ready(self, Handle owner, uint32_t events) except -1:
        """The kernel has told of the handle's descriptor."""
        cdef Handle handle
        if not owner.registered:
            return 0  # closed since
        if events & (EPOLLIN | ENDS):
            if events & ENDS:
                owner.ending = True
            if owner.reader_handle != NULL:
                owner.readable = True
                self.read_ready(owner)
            elif not owner.interest & EPOLLET:
                self.unwatch(owner)
            elif owner.readable:
                self.watch(owner, owner.watched, owner.interest & ~reads())
            else:
                owner.readable = True
        if events & (EPOLLOUT | EPOLLHUP | EPOLLERR) and owner.registered:
            owner.blocked = False
            if owner.writer_handle != NULL:
                handle = <Handle>owner.writer_handle
                owner.writer_handle = NULL
                self.completions += 1
                self.let_go(handle)
                handle.complete(TAG_SEND, -EAGAIN, 0)
            elif owner.interest & EPOLLOUT:
                self.watch(owner, owner.watched, owner.interest & ~EPOLLOUT)
        return 0

    cdef int read_ready(self, Handle owner) except -1:
        """Somebody waits for what is there."""
        cdef Handle handle
        if owner.reader_tag == TAG_RECEIVE:
            return self.pull(owner)
        if owner.reader_tag == TAG_ACCEPT:
            return self.take_connections(owner)
        handle = <Handle>owner.reader_handle
        owner.reader_handle = NULL
        self.completions += 1
        self.let_go(handle)
        return handle.complete(TAG_READY, 0, 0)

    cdef int pull(self, Handle owner) except -1:
        """One receive into a buffer; the handle is its own."""
        cdef received header
        cdef iovec part
        cdef Py_ssize_t n
        cdef bint more = owner.ending
        cdef int number = self.taken
        cdef char *buffer
        if number == BUFFERS:
            return self.heat(owner)
        buffer = self.buffers[number]
        if buffer == NULL:
            buffer = self.buffers[number] = <char *>PyMem_Malloc(self.size + SHIFT)
            if buffer == NULL:
                return self.ended(owner, -ENOMEM)
        if owner.family != INTERNET:
            # It ends where descriptors were sent along, though there is more; and says so.
            memset(&header, 0, sizeof(header))
            part.iov_base = buffer
            part.iov_len = self.size
            header.msg_iov = &part
            header.msg_iovlen = 1
            n = recvmsg(owner.watched, &header, MSG_DONTWAIT)
            if n > 0 and header.msg_flags & MSG_CTRUNC:
                more = True
        else:
            n = recv(owner.watched, buffer, self.size, MSG_DONTWAIT)
        if n <= 0:
            if n == 0:
                return self.ended(owner, 0)
            if errno == EAGAIN:
                owner.readable = owner.ending = False
                return 0
            if errno == EINTR:
                return self.heat(owner)
            return self.ended(owner, -errno)
        if more or n == self.size:
            self.heat(owner)
        else:
            owner.readable = False
        self.taken += 1
        self.completions += 1
        return owner.complete(
            TAG_RECEIVE, <int>n,
            UR_CQE_F_MORE | UR_CQE_F_BUFFER | <uint32_t>number << UR_CQE_BUFFER_SHIFT)

    cdef int ended(self, Handle owner, int res) except -1:
        """The operation that reads is over."""
        cdef Handle handle = <Handle>owner.reader_handle
        cdef int tag = owner.reader_tag
        owner.reader_handle = NULL
        self.completions += 1
        self.let_go(handle)
        return handle.complete(tag, res, 0)

    cdef int take_connections(self, Handle owner) except -1:
        """Accept some; the rest is told of again.

        As many as there were the last time: where they come one by one, none is asked for in vain.
        """
        cdef int fd, got = 0, vain = 0, most = max(1, owner.burst)
        while got < most and vain < FRUITLESS:
            self.name_size = NAME
            fd = accept4(owner.watched, <sockaddr *>self.name, &self.name_size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd < 0:
                if errno == EAGAIN:
                    owner.burst = min(owner.burst, max(1, got))
                    return 0
                if errno != EINTR and errno != ECONNABORTED and errno != EPERM:
                    return self.ended(owner, -errno)
                vain += 1
                continue
            got += 1
            self.accepted = fd
            try:
                if not owner.burst:
                    return self.ended(owner, fd)
                self.completions += 1
                owner.complete(TAG_ACCEPT, fd, UR_CQE_F_MORE)
            finally:
                self.accepted = -1
            if owner.reader_handle == NULL or not owner.registered:
                return 0
        owner.burst = min(2 * most, BURST)
        return 0
