# cython: language_level=3, binding=False
"""What stands on a socket and speaks TLS, without TLS: when it reads, and what it passes on.

It reads where the reactor has put the bytes. What comes while it is paused, or while it reads, it
holds, and reads in a turn of its own.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from twisted.internet.interfaces import ITCPTransport

from subproxy.frontend.tls.states import TLS_TRANSITIONS

cdef enum:
    FULL = 16384  # bytes of a receive behind which more is expected

cdef tuple STATES = tuple(TLS_TRANSITIONS)


cdef class AboveSocket(FrameLink):
    """
    See above. Who derives from it has C{shake_hands}, C{take_in} and C{clock_of_turns}, and says how
    C{much} may come at once.

    @ivar transport: the socket's.
    """

    cdef int shake_hands(self) except -1:
        """Go on with the handshake by what the feed has."""
        raise NotImplementedError

    cdef bint take_in(self) except -1:
        """Decrypt of the feed what may be given on at once; false if that was all for now."""
        raise NotImplementedError

    cdef object clock_of_turns(self):
        """What calls it in another turn."""
        raise NotImplementedError

    @property
    def state(self):
        """What becomes of what the other end sends."""
        return STATES[self.stage]

    # IProtocol: the socket speaks.

    cdef int stand_on(self, object transport) except -1:
        """It is connected."""
        self.transport = transport
        if isinstance(transport, Stream) and not (<Stream>transport).TLS:
            self.stream = <Stream>transport
        return 0

    def dataReceived(self, bytes data):
        """Bytes came from the other end."""
        self.received(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef int received(self, char *data, Py_ssize_t size) except -1:
        if self.stage > OPEN:
            return 0
        if self.held is not None or self.in_read:
            more = PyBytes_FromStringAndSize(data, size)
            self.held = more if self.held is None else self.held + more
            return 0
        self.feed.data = data
        self.feed.size = size
        self.read()
        if size >= FULL or self.offers:
            self.offer(size >= FULL)
        return 0

    cdef int offer(self, bint much) except -1:
        """Where the other end says much more is received at once; only if that is asked for now, so
        that no room waits for what may never come."""
        cdef Stream stream = self.stream
        if stream is not None:
            self.offers = (
                much and not self.paused and not stream.armed and self.stage == OPEN
                and self.takes_much()
            )
            if self.offers:
                stream.offer(PyBytes_FromStringAndSize(NULL, self.much), 0, self.much)
            else:
                stream.offer(None, 0, 0)
        return 0

    cdef bint takes_much(self):
        """Whether it is of use that more comes at once."""
        return True

    cdef int read(self) except -1:
        """Take in what the feed has; what must wait is held."""
        self.in_read = True
        try:
            if self.stage == HANDSHAKE:
                self.shake_hands()
            while self.stage == OPEN and not self.paused and self.feed.size:
                if not self.take_in():
                    break
        finally:
            self.in_read = False
            if self.feed.size and self.stage == OPEN:
                rest = PyBytes_FromStringAndSize(self.feed.data, self.feed.size)
                self.held = rest if self.held is None else rest + self.held
            self.feed.data = NULL
            self.feed.size = 0
        return 0

    # Who makes more, and who takes it.

    def registerProducer(self, producer, streaming):
        """Tell C{producer} when the other end does not take what is written."""
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self):
        """Tell nobody any more."""
        self.transport.unregisterProducer()

    def pauseProducing(self):
        """Read no more for now."""
        if self.offers:
            self.offer(False)
        self.paused = True
        self.transport.pauseProducing()

    def resumeProducing(self):
        """Read again: first what is here, in a turn of its own, as a socket would."""
        self.paused = False
        if (self.held is not None or self.feed.size) and self.stage == OPEN:
            if not self.scheduled:
                self.scheduled = True
                self.clock_of_turns().callLater(0, self.resume)
        else:
            self.transport.resumeProducing()

    def resume(self):
        """The turn for that has come."""
        self.scheduled = False
        if self.stage == OPEN and not self.paused and self.held is not None:
            held, self.held = self.held, None
            self.feed.data = PyBytes_AS_STRING(held)
            self.feed.size = PyBytes_GET_SIZE(held)
            self.read()
        if self.stage != OVER and not self.paused and not self.scheduled:
            self.transport.resumeProducing()

    def stopProducing(self):
        """Close."""
        self.loseConnection()

    cdef int pass_down(self, bytes data) except -1:
        """Have the socket send C{data}, which was encrypted."""
        if self.stream is not None:
            self.stream.cwrite(data)
        else:
            self.transport.write(data)
        return 0

    def writeSequence(self, iovec):
        """Write, all at once."""
        self.write(b"".join(iovec))

    # What the socket's transport knows.

    def getPeer(self):
        """The other end."""
        return self.transport.getPeer()

    def getHost(self):
        """This one."""
        return self.transport.getHost()

    def getTcpKeepAlive(self):
        """Whether the system asks now and then if the other end is there."""
        return ITCPTransport.providedBy(self.transport) and bool(self.transport.getTcpKeepAlive())

    def setTcpKeepAlive(self, enabled):
        """Let the system ask now and then if the other end is there."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpKeepAlive(enabled)
