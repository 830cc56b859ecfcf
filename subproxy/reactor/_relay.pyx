# cython: language_level=3, binding=False
"""A bulk path: bytes from one stream to another through one buffer in C.

One shot at a time: wait until the source is readable (holding no buffer),
receive as much as there is, send all of it, and receive again. So an idle
relay costs nothing, and a slow target holds up its own source alone.

Lifetimes: the relay is in the streams' C{relay_in} and C{relay_out} while it
lasts. When one of them closes it calls C{parted} first, and what the relay has
in flight on that descriptor is cancelled before the close is queued. The buffer
goes back when the operation that uses it has completed, never before.
"""

from cpython.bytes cimport PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc

from subproxy.reactor._engine cimport (
    TAG_READY, TAG_RECEIVE, TAG_SEND, Handle, calls, enqueue,
)
from subproxy.reactor._stream cimport Stream
from subproxy.reactor._uapi cimport *

from twisted.internet import defer, error

from subproxy.reactor._receive import LOST

cdef enum:
    SIZE = 256 * 1024  # bytes of a buffer
    SPARE = 8  # buffers that are kept for the next relay

cdef char *spare[SPARE]
cdef int spares = 0


cdef char *borrow() except NULL:
    global spares
    cdef char *buffer
    if spares:
        spares -= 1
        return spare[spares]
    buffer = <char *>malloc(SIZE)
    if buffer == NULL:
        raise MemoryError
    return buffer


cdef void give_back(char *buffer) noexcept:
    global spares
    if spares < SPARE:
        spare[spares] = buffer
        spares += 1
    else:
        free(buffer)


cdef class Relay(Handle):
    cdef Stream source
    cdef Stream target
    cdef Stream borrower  # whose descriptor a send of ours is using
    cdef char *buffer
    cdef int filled
    cdef int sent
    cdef long long left  # below zero: until the end
    cdef long long moved
    cdef bint polling
    cdef bint ready
    cdef bint cancelled
    cdef object result

    def __dealloc__(self):
        if self.buffer != NULL:
            give_back(self.buffer)

    def logPrefix(self):
        return "relay"

    def reader(self):
        return None

    def writer(self):
        return None

    def cancel(self, _):
        """The Deferred's canceller: what was received is sent first."""
        self.cancelled = True
        if self.polling:
            self.engine.cancel(self, self.source, TAG_READY)
        enqueue(self)

    cdef int finish(self, object reason) except -1:
        """It is over: let go of the streams, and say so."""
        cdef Stream source = self.source
        cdef Stream target = self.target
        result = self.result
        if source is None:
            return 0
        self.source = self.target = self.result = None
        source.relay_in = None
        target.relay_out = None
        for stream in (source, target):
            if (<Stream>stream).fd >= 0:
                (<Stream>stream).writing = (<Stream>stream).writing or bool((<Stream>stream).out)
                enqueue(stream)
        calls(self)
        if self.cancelled:
            pass  # the Deferred has failed already
        elif reason is None:
            result.callback(self.moved)
        else:
            result.errback(reason)
        return 0

    cdef int parted(self, Handle other) except -1:
        if self.source is None:
            return 0
        if self.ops and self.engine.live():
            if self.polling:
                self.engine.cancel(self, self.source, TAG_READY)
            elif self.borrower is not None:
                self.engine.cancel(self, self.borrower, TAG_SEND)
        return self.finish(error.ConnectionLost("a connection of the relay was closed"))

    cdef int orphan(self) except -1:
        return self.finish(error.ConnectionLost("the reactor began anew"))

    cdef int settle(self) except -1:
        """Start what comes next, if nothing is in flight."""
        cdef Stream source = self.source
        self.queued = False
        if source is None or self.ops or source.armed:
            return 0  # (armed: its last receive tells us when it is over)
        if self.filled or source.backlog:
            if self.target.sending or self.target.silent or self.target.out:
                self.target.writing = True
                return enqueue(self.target)  # it tells us when all of it is sent
        if self.filled:
            self.borrower = self.target
            self.borrower.lent = True
            return self.engine.send(self, self.target, self.target.fd, self.buffer + self.sent,
                                    self.filled - self.sent, NULL)
        if source.backlog:
            return self.inherit()
        source.backlog = None
        if self.cancelled:
            return self.finish(defer.CancelledError())
        if self.left == 0:
            return self.finish(None)
        if not self.ready:
            self.polling = True
            return self.engine.await_readable(self, source, source.fd)
        if self.buffer == NULL:
            self.buffer = borrow()
        return self.engine.receive_into(self, source, source.fd, self.buffer,
                                        SIZE if self.left < 0 else min(self.left, SIZE))

    cdef int inherit(self) except -1:
        """What had been received before, or how the stream had ended."""
        cdef Py_ssize_t size
        item = self.source.backlog[0]
        if type(item) is not bytes:
            self.source.backlog.pop(0)
            return self.ended(item)
        size = PyBytes_GET_SIZE(item)
        if self.left == 0 or self.cancelled:
            # The rest stays, for whoever resumes the stream.
            return self.finish(None if self.left == 0 else defer.CancelledError())
        if 0 < self.left < size:
            self.source.backlog[0] = item[self.left:]
            item = item[:self.left]
            size = self.left
        else:
            self.source.backlog.pop(0)
        self.count(size)
        self.target.push(item)
        return enqueue(self)

    cdef int count(self, long long size) noexcept:
        self.moved += size
        if self.left > 0:
            self.left -= size
        return 0

    cdef int ended(self, int res) except -1:
        """The source is at its end, or broken."""
        cdef Stream source = self.source
        if res < 0:
            return source.lose(LOST)  # which comes back to `parted`
        self.finish(None)
        if source.fd >= 0:
            source.deliver(res)
        return 0

    cdef int complete(self, int tag, int res, uint32_t flags) except -1:
        cdef Stream target = self.target
        if tag == TAG_READY:
            self.polling = False
            self.ready = res >= 0
        elif tag == TAG_RECEIVE:
            if res > 0:
                self.filled = res
                self.sent = 0
                self.count(res)
            else:
                give_back(self.buffer)
                self.buffer = NULL
                self.ready = False
                if res != -EAGAIN and res != -EINTR and self.source is not None:
                    return self.ended(res)
        else:
            self.borrower.lent = False
            if self.borrower.fd >= 0 and self.borrower.writing:
                enqueue(self.borrower)
            if res > 0:
                self.sent += res
                if self.sent == self.filled:
                    self.filled = 0
            elif res != -EAGAIN and res != -EINTR:
                self.filled = 0
                if target is not None:
                    return target.failed(res)
        if self.source is not None:
            enqueue(self)
        elif self.buffer != NULL and not self.ops:
            give_back(self.buffer)
            self.buffer = NULL
        return 0


def relay(source, target, long long length):
    """See C{RelayingStream.relay_to}."""
    cdef Relay made
    cdef Stream a, b
    if not isinstance(source, Stream) or not isinstance(target, Stream):
        raise ValueError("both ends of a relay must be streams of a compiled reactor")
    a, b = source, target
    if a.fd < 0 or b.fd < 0 or a.TLS or b.TLS or not b.native_write or a.engine is not b.engine:
        raise ValueError("both ends of a relay must be plain, connected streams of one reactor")
    if a.relay_in is not None or b.relay_out is not None or a is b:
        raise ValueError("one of the ends is relayed already")
    made = Relay()
    made.engine = a.engine
    made.source = a
    made.target = b
    made.left = length
    made.result = result = defer.Deferred(made.cancel)
    a.relay_in = made
    b.relay_out = made
    a.stopReading()
    enqueue(a)
    enqueue(made)
    return result
