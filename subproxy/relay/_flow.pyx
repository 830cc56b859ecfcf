# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""See C{subproxy.relay.flow} and C{subproxy.relay.scheduler}, which have the same in Python."""

from libc.errno cimport EAGAIN, EINTR, errno

from subproxy.relay._byte_sink cimport RoomWaiter

from collections import deque

from twisted.logger import Logger

cdef extern from "fcntl.h" nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    """
    Py_ssize_t splice(int, void *, int, void *, size_t, unsigned)
    unsigned SPLICE_F_MOVE, SPLICE_F_NONBLOCK

cdef extern from "sys/ioctl.h" nogil:
    int ioctl(int, unsigned long, ...)

cdef extern from "linux/sockios.h" nogil:
    unsigned long SIOCOUTQ

cdef extern from "linux/tcp.h" nogil:
    int TCP_INFO

cdef extern from "sys/socket.h" nogil:
    int AF_UNIX, SOL_SOCKET, SO_DOMAIN, SO_SNDBUF
    int getsockopt(int, int, int, void *, unsigned *)

cdef extern from "netinet/in.h" nogil:
    int IPPROTO_TCP

cdef extern from "sys/epoll.h" nogil:
    ctypedef union epoll_data_t:
        int fd
    struct epoll_event:
        unsigned events
        epoll_data_t data
    int EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLONESHOT
    int epoll_ctl(int, int, int, epoll_event *)
    int epoll_wait(int, epoll_event *, int, int)

cdef enum:
    LITTLE = 64 * 1024
    MUCH = 192 * 1024
    CALM = 64
    LOOKS = 3
    MOST_EVENTS = 64

    UNASKED = 0  # kinds of sinks
    TCP = 1
    UNIX = 2
    OTHER = 3


_log = Logger("subproxy.relay")


cdef class Watcher:
    """Who waits for a descriptor, once, beside the flows."""

    cdef int ready(self) except -1:
        """It is: called between two rounds."""
        raise NotImplementedError


cdef class FlowUser(RoomWaiter):
    """Whose a flow is, in the place of a C{SpliceRelay}: told at the end of the round, in C."""

    cdef int flow_stopped(self, Flow flow, int outcome) except -1:
        """It has stopped, for now or for ever; for now: until C{reads} or C{writes} and C{arm}."""
        raise NotImplementedError

    cdef int flow_failed(self) except -1:
        """What it was told has raised: it is as if the sink broke."""
        raise NotImplementedError


cdef class Flow:
    """The bytes of one relay."""

    def __init__(self, int source, int sink, int entry, int exit, long long size, long long length):
        self.source = source
        self.sink = sink
        self.entry = entry
        self.exit = exit
        self.size = size
        self.left = length

    def move(self, long long budget, long long most=1 << 40):
        """Move about C{budget} bytes, C{most} at once: why it stopped, an C{Outcome}."""
        cdef int outcome
        with nogil:
            outcome = self._move(budget, most)
        return outcome

    cdef int _move(self, long long budget, long long at_once) noexcept nogil:
        cdef Py_ssize_t got, put
        cdef bint fresh
        cdef unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK
        while True:
            fresh = not self.held
            if fresh:
                if not self.left:
                    return DONE
                if budget <= 0:
                    return SPENT
                got = splice(self.source, NULL, self.entry, NULL, <size_t>self.fill(at_once), flags)
                if got < 0:
                    if errno == EINTR:
                        continue
                    return EMPTY if errno == EAGAIN else ENDED
                if got == 0:
                    return ENDED
                self.held = got
                self.left -= got
                self.taken += got
            put = splice(self.exit, NULL, self.sink, NULL, <size_t>self.held, flags)
            if put < 0 and errno == EINTR:
                continue
            if fresh:
                self.eager = put == self.held
            if put < 0:
                return FULL if errno == EAGAIN else BROKEN
            self.held -= put
            self.given += put
            self.window -= put
            budget -= put

    cdef long long fill(self, long long at_once) noexcept nogil:
        """How many bytes are to be taken from the source."""
        cdef long long most = LITTLE
        cdef long long wanted = min(self.left, self.size, max(at_once, LITTLE))
        if self.eager and self.kind == TCP and self.window >= MUCH:
            # Less than it takes by now, if anything: a window is not taken back (RFC 9293, 3.8.6).
            return min(wanted, self.window + LITTLE)
        if self.eager or not self.taken:
            most = self.room()
            if most >= 0:
                most += LITTLE
            else:
                most = MUCH if self.eager else LITTLE
        return min(wanted, most)

    cdef long long room(self) noexcept nogil:
        """How many bytes the sink can pass on or keep; below zero: nobody knows."""
        cdef tcp_info info
        cdef unsigned size = sizeof(info)
        cdef long long unsent = 0
        cdef int outq = 0, domain = 0
        if self.asked:
            self.kind = TCP
        elif self.kind == UNASKED:
            if getsockopt(self.sink, IPPROTO_TCP, TCP_INFO, &info, &size) == 0:
                self.kind = TCP if size == sizeof(info) else OTHER
                self.asked = self.kind == TCP
                self.window = window_left(&info)
                unsent = info.tcpi_notsent_bytes
            else:
                size = sizeof(int)
                getsockopt(self.sink, SOL_SOCKET, SO_DOMAIN, &domain, &size)
                getsockopt(self.sink, SOL_SOCKET, SO_SNDBUF, &self.buffer, &size)
                self.kind = UNIX if domain == AF_UNIX else OTHER
        if self.kind == TCP:
            if not self.asked:
                size = sizeof(info)
                getsockopt(self.sink, IPPROTO_TCP, TCP_INFO, &info, &size)
                self.window = window_left(&info)
                unsent = info.tcpi_notsent_bytes
            self.asked = False
            if not self.eager:
                # Its buffer grows with what is sent: at first it may be less than the window.
                size = sizeof(int)
                getsockopt(self.sink, SOL_SOCKET, SO_SNDBUF, &self.buffer, &size)
                return max(0, min(self.window, <long long>self.buffer - unsent))
            return max(0, self.window)
        if self.kind == UNIX and ioctl(self.sink, SIOCOUTQ, &outq) == 0:
            return max(0, self.buffer - outq)
        return -1


cdef class SpliceScheduler:
    """Who has its turn."""

    def __init__(self, poller, others, long long turn, long long alone, long long most):
        self.turn = turn
        self.alone = alone
        self.queue = deque()
        self.waiting = {}
        self.noted = []
        self.ended = []
        self.poller = poller
        self.fd = poller.fileno()
        self.others = others
        if others is not None:
            self.engine = others.engine
            self.reactor = others.reactor
            self.seconds = others.reactor.seconds
            self.everybody = others.poller
            self.everybody_fd = others.poller.fileno()
        self.most = most

    cpdef enqueue(self, Flow flow):
        """C{flow} may have something to move."""
        if not flow.queued:
            flow.queued = True
            self.queue.append(flow)

    def close(self):
        """Nothing is watched or moved any more: the poller is about to be closed."""
        self.fd = -1
        self.waiting.clear()
        self.queue.clear()

    def begin(self):
        """A turn of the reactor begins."""
        self.moved = 0
        self.turning = True

    def take(self):
        """Who had a turn since this was last asked."""
        cdef Flow flow
        cdef list noted = self.noted
        self.noted = []
        for flow in noted:
            flow.noted = False
        return noted

    def run(self):
        """Rounds, until one of them ends with something to tell, or it is time for others."""
        cdef epoll_event events[MOST_EVENTS]
        cdef long long moved
        cdef int looks = 0, i, n
        cdef list told = []
        cdef object who
        while True:
            n = epoll_wait(self.fd, events, MOST_EVENTS, 0)
            for i in range(n):
                # Who was called before may have taken it out.
                who = self.waiting.get(events[i].data.fd)
                if type(who) is Flow:
                    self.enqueue(<Flow>who)
                elif who is not None:
                    try:
                        (<Watcher>who).ready()
                    except Exception:
                        _log.failure("a descriptor beside the relays could not be served")
            moved = self.round(told)
            if self.ended:
                self.tell()
            self.moved += moved
            looks = 0 if moved else looks + 1
            if (
                told
                or self.others is None
                or looks > (LOOKS if self.moved else 0)
                or self.moved >= self.most
            ):
                return told
            if self.wait():
                self.crowd = CALM
                return told

    @property
    def over(self):
        """Whether as much has been moved as may be in a turn of the reactor."""
        return self.moved >= (self.alone if self.others is None else self.most)

    cdef int arm(self, int fd, unsigned events) except -1:
        cdef epoll_event event
        if self.fd < 0:
            return 0
        event.events = events | EPOLLONESHOT
        event.data.fd = fd
        if epoll_ctl(self.fd, EPOLL_CTL_MOD, fd, &event):
            raise OSError(errno, "epoll_ctl")
        return 0

    cdef int add(self, int fd, unsigned events, object who) except -1:
        """Have C{who} told when C{fd} is ready, once; C{arm} asks again."""
        cdef epoll_event event
        if self.fd < 0:
            return 0
        event.events = events | EPOLLONESHOT
        event.data.fd = fd
        if epoll_ctl(self.fd, EPOLL_CTL_ADD, fd, &event):
            raise OSError(errno, "epoll_ctl")
        self.waiting[fd] = who
        return 0

    cdef int remove(self, int fd) except -1:
        """C{fd}, which may be closed already, is watched no more."""
        cdef epoll_event event
        if self.waiting.pop(fd, None) is not None:
            epoll_ctl(self.fd, EPOLL_CTL_DEL, fd, &event)
        return 0

    cdef bint tell(self) except -1:
        """Tell compiled users which of their flows have stopped."""
        cdef list ended = self.ended
        cdef Flow flow
        cdef FlowUser user
        self.ended = []
        for flow, outcome in ended:
            user = flow.user
            if user is None:
                # Given to somebody else meanwhile, who has to find out himself.
                flow.full = False
                self.enqueue(flow)
                continue
            try:
                user.flow_stopped(flow, outcome)
            except Exception:
                _log.failure("a relay failed")
                try:
                    user.flow_failed()
                except Exception:
                    _log.failure("a relay that failed could not be ended")
        return True

    cdef bint wait(self) except -1:
        """See C{subproxy.relay.reactor_load}."""
        cdef epoll_event events[2]
        cdef int i
        cdef list calls
        if self.reactor._newTimedCalls:
            return True
        calls = self.reactor._pendingTimedCalls
        if calls and calls[0].time <= self.seconds():
            return True
        if self.engine is not None:
            return self.engine.pending
        for i in range(epoll_wait(self.everybody_fd, events, 2, 0)):
            if events[i].data.fd != self.fd:
                return True
        return False

    cdef long long round(self, list told) except -1:
        cdef Flow flow
        cdef object queue = self.queue
        cdef long long left = self.alone, before, budget
        # Where others wait a round ends early, but not for bodies that end: see the reference.
        cdef long long most = self.turn if self.crowd else self.alone, more = most
        cdef int outcome
        if self.crowd:
            self.crowd -= 1
        while left > 0 and more > 0 and queue:
            flow = queue.popleft()
            flow.queued = False
            if flow.held_back:
                continue
            before = flow.given
            budget = min(self.turn, left) if queue else min(most, left)
            with nogil:
                outcome = flow._move(budget, most)
            left -= flow.given - before
            if outcome == SPENT:
                more -= flow.given - before
            flow.full = outcome == FULL
            if flow.user is None and not flow.noted:
                flow.noted = True
                self.noted.append(flow)
            if outcome == SPENT:
                self.enqueue(flow)
            elif outcome == EMPTY and flow.reads:
                self.arm(flow.source, EPOLLIN | EPOLLRDHUP)
            elif flow.full and flow.writes:
                self.arm(flow.sink, EPOLLOUT)
            elif flow.user is not None:
                self.ended.append((flow, outcome))
            else:
                told.append((flow, outcome))
        return self.alone - left
