# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""The receiving half of a stream: bytes from one socket, by one receive that goes on.

A receive that was cancelled by a pause may still deliver what the kernel had taken: that
waits in C{backlog} for the resumption, in order, the end of the stream too.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from subproxy.reactor._engine cimport TAG_RECEIVE, Engine, Handle, calls, enqueue
from subproxy.reactor._uapi cimport *

from twisted.internet import main
from twisted.python import failure, log

from subproxy.reactor.out_of_memory import shortage

cdef extern from "Python.h":
    object PyObject_CallMethodOneArg(object, object, object)

cdef extern from "gather.h":
    object take_only(list)
    int trim_last(list, Py_ssize_t) except -1

cdef enum:
    # Bytes of a receive into a buffer of its own, if nobody says else: as many as go on, in one piece
    # and over TLS, to a client of whom no more is to wait than subproxy.frontend.limits.WRITE_BUFFER.
    BULK = 78 * 1024
    FULL = 4  # full buffers in a row after which that is done

# One for all, as Twisted's own reactors do: building a Failure costs microseconds.
DONE = failure.Failure(main.CONNECTION_DONE)
LOST = failure.Failure(main.CONNECTION_LOST)

GONE = object()
"""In the place of a protocol that has been told that its connection is lost."""

cdef object DATA_RECEIVED = "dataReceived"


cdef class Receiver:
    cdef int received(self, char *data, Py_ssize_t size) except -1:
        raise NotImplementedError


cdef class ReceivingStream(Handle):
    """What of a stream is about receiving, and whom it is received for."""

    def __cinit__(self, *args, **kw):
        self.fd = -1
        self.most = MOST
        self.read_size = BULK

    cdef int lose(self, object reason) except -1:
        """C{connectionLost}, as the reactor calls it: what it raises is logged."""
        calls(self)
        try:
            self.connectionLost(reason)
        except BaseException:
            log.callWithLogger(self, log.err)
        return 0

    @property
    def protocol(self):
        if self._protocol is GONE:
            raise AttributeError("protocol")
        return self._protocol

    @protocol.setter
    def protocol(self, value):
        self._protocol = value
        self.receiver = value if isinstance(value, Receiver) else None

    @protocol.deleter
    def protocol(self):
        self._protocol = GONE
        self.receiver = None

    def startReading(self):
        if self.fd < 0:
            self.reactor.addReader(self)
        elif not self.reading:
            self.reading = True
            self.quiet = None
            enqueue(self)

    def stopReading(self):
        if self.fd < 0:
            self.reactor.removeReader(self)
        elif self.reading:
            self.reading = False
            if self.armed:
                enqueue(self)

    def when_receive_stopped(self, function):
        """Reading was stopped: call C{function} when nothing is being received any more.

        It gets the bytes that had been taken from the kernel and not delivered. Until
        reading is started again, the descriptor may be read by somebody else.
        """
        self.quiet = function
        if not self.armed:
            self.quieten()

    cdef int quieten(self) except -1:
        function, self.quiet = self.quiet, None
        data = b""
        if self.backlog is not None:
            data = b"".join([item for item in self.backlog if type(item) is bytes])
            # How the stream ended is for the reader that comes back.
            self.backlog = [item for item in self.backlog if type(item) is not bytes] or None
        calls(self)
        try:
            function(data)
        except BaseException:
            self._callback_failed()
        return 0

    cdef int offer(self, bytes room, Py_ssize_t place, Py_ssize_t size) except -1:
        """What is received next may be put into C{room}, which nobody reads there: C{size} bytes at
        most, from C{place} on.

        If it is there when it is asked for: else it comes as ever. C{received} is told of it either
        way. For a compiled protocol, of what comes after the receive that is under way. None: it may
        not, any more.
        """
        self.offered = room
        self.offered_at = place
        self.offered_size = size
        return 0

    cdef int hand_over(self, char *data, Py_ssize_t size) except -1:
        """Give the compiled protocol what came."""
        # Held here: it may let go of itself while it is called.
        cdef Receiver receiver = self.receiver
        calls(self)
        try:
            receiver.received(data, size)
        except BaseException:
            self._callback_failed()
        if not self.armed and self.reading:
            enqueue(self)
        return 0

    cdef int arm(self) except -1:
        """Ask for bytes: as they come, or once for many.

        A multishot receive takes little pieces into the engine's own buffers,
        and nothing while nothing comes. A stream that fills them one after the
        other is better served by one large receive at a time, straight into
        the bytes object: as long as there is something to be received at once.
        """
        self.armed = True
        self.capped = False
        if self.offered is not None:
            self.incoming, self.offered = self.offered, None
            self.placed = True
            self.placed_at = self.offered_at
            self.engine.receive_into(
                self, self, self.fd, PyBytes_AS_STRING(self.incoming) + self.placed_at,
                self.offered_size,
            )
        elif self.bulk:
            self.incoming = PyBytes_FromStringAndSize(NULL, self.read_size)
            self.engine.receive_into(
                self, self, self.fd, PyBytes_AS_STRING(self.incoming), self.read_size
            )
        else:
            self.capped = self.engine.receive(self, self.fd, self.most)
        return 0

    cdef bytes collect(self, int res):
        """The result of one large receive; None if there was nothing."""
        cdef bytes found = self.incoming
        cdef list one
        self.incoming = None
        if res < self.engine.size:
            self.bulk = False
            self.full = 0
        if res <= 0:
            return None
        one = [found]
        found = None
        trim_last(one, res)
        return take_only(one)

    cdef int receive(self, int res, uint32_t flags) except -1:
        cdef char *data
        cdef Engine engine = self.engine
        cdef bytes held
        cdef bint ready = self.reading and self.backlog is None and self.relay_in is None
        item = None
        if not flags & UR_CQE_F_MORE:
            self.armed = self.cancelling = False
            if self.relay_in is not None:
                enqueue(self.relay_in)
        if self.placed:
            self.placed = False
            held, self.incoming = self.incoming, None
            if res > 0:
                data = PyBytes_AS_STRING(held) + self.placed_at
                if ready and self.receiver is not None:
                    return self.hand_over(data, res)
                item = PyBytes_FromStringAndSize(data, res)
        elif self.incoming is not None:
            item = self.collect(res)
        elif flags & UR_CQE_F_BUFFER:
            data = engine.take(flags)
            if res < engine.size:
                self.full = 0
            elif not self.cancelling and self.fd >= 0 and self.receiver is None:
                self.full += 1
                if self.full >= FULL:
                    self.bulk = True
                    if self.armed:
                        self.cancelling = True
                        engine.cancel(self, self, TAG_RECEIVE)
            if res > 0 and ready and self.receiver is not None:
                try:
                    return self.hand_over(data, res)
                finally:
                    engine.recycle(data)
            try:
                if res > 0 and self.fd >= 0:
                    item = PyBytes_FromStringAndSize(data, res)
            except MemoryError:
                # What came is lost, and so, then, is the connection.
                res = -ENOMEM
                shortage.tell()
            finally:
                engine.recycle(data)
        if self.fd < 0:
            return 0
        if res > 0:
            pass
        elif res == -ENOBUFS:
            if self.reading:
                engine.park(self)
            return 0
        elif res == -ECANCELED or res == -EINTR or res == -EAGAIN:
            if self.reading:
                enqueue(self)
            return 0
        elif res == -EINVAL and self.capped:
            # A kernel before 6.17.
            engine.capped = False
            if self.reading:
                enqueue(self)
            return 0
        else:
            item = res
        if ready:
            self.deliver(item)
            if not self.armed and self.reading:
                enqueue(self)
        elif self.backlog is None:
            self.backlog = [item]
        else:
            self.backlog.append(item)
        return 0

    cdef int deliver(self, object item) except -1:
        """Bytes, or how the stream ended: zero, or an error number below it."""
        calls(self)
        if type(item) is bytes:
            try:
                PyObject_CallMethodOneArg(self._protocol, DATA_RECEIVED, item)
            except BaseException:
                self._callback_failed()
            return 0
        self.reading = False
        if item == 0 and not self.dying:
            try:
                self.readConnectionLost(DONE)
            except BaseException:
                log.callWithLogger(self, log.err)
        else:
            self.lose(LOST)
        return 0

    def _callback_failed(self):
        """An exception of the protocol's: log it, and lose the connection."""
        reason = failure.Failure()
        if reason.type is MemoryError:
            shortage.tell()
        else:
            log.callWithLogger(self, log.err, reason)
        if self.fd >= 0:
            self.lose(reason)
