# cython: language_level=3, binding=False
"""What a connection over TLS passes on to the transport of its socket, as it is asked."""

from subproxy.reactor._receive cimport Receiver

from twisted.internet.interfaces import ITCPTransport


cdef class AboveSocket(Receiver):
    """
    The base of C{CompiledTlsConnection}, without what is encrypted.

    @ivar transport: the socket's.
    """

    def registerProducer(self, producer, streaming):
        """Tell C{producer} when the client does not take what is written."""
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self):
        """Tell nobody any more."""
        self.transport.unregisterProducer()

    # What the socket's transport knows.

    @property
    def bufferSize(self):
        """Bytes that may wait before a producer is paused."""
        return self.transport.bufferSize

    @bufferSize.setter
    def bufferSize(self, size):
        self.transport.bufferSize = size

    def getPeer(self):
        """The client."""
        return self.transport.getPeer()

    def getHost(self):
        """Us."""
        return self.transport.getHost()

    def getHandle(self):
        """The socket."""
        return self.transport.getHandle()

    def fileno(self):
        """The socket's descriptor, to look at: it is never lent."""
        return self.transport.fileno()

    def getPeerCertificate(self):
        """The client's certificate: none is asked for."""
        return None

    def getTcpNoDelay(self):
        """Whether small packets are sent at once: they are, from the handshake on."""
        return True

    def setTcpNoDelay(self, enabled):
        """Nothing to do: see C{getTcpNoDelay}."""

    def getTcpKeepAlive(self):
        """Whether the system asks now and then if the client is there."""
        return ITCPTransport.providedBy(self.transport) and bool(self.transport.getTcpKeepAlive())

    def setTcpKeepAlive(self, enabled):
        """Let the system ask now and then if the client is there."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpKeepAlive(enabled)
