# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""Accepting connections: one accept a listening socket, that goes on.

A ring's kernel hands over descriptors, without a system call each. For an ordinary
IPv4 port the way from there to the protocol's C{makeConnection} is compiled:
no socket object, no strings for log and repr, which are made when asked for.
"""

from libc.stdint cimport uint16_t
from posix.unistd cimport close

from subproxy.reactor._engine cimport INTERNET, TAG_ACCEPT, Engine, Handle, calls, enqueue
from subproxy.reactor._stream cimport Stream
from subproxy.reactor._uapi cimport *

import resource

from twisted.internet.address import IPv4Address
from twisted.python import log

from subproxy.reactor.out_of_memory import shortage

cdef extern from "arpa/inet.h" nogil:
    const char *inet_ntop(int, const void *, char *, unsigned)
    uint16_t ntohs(uint16_t)

cdef extern from "netinet/in.h" nogil:
    struct in_addr:
        pass
    struct sockaddr_in:
        unsigned short sin_family
        uint16_t sin_port
        in_addr sin_addr

cdef extern from "sys/socket.h" nogil:
    struct sockaddr:
        pass
    int AF_INET
    int getpeername(int, sockaddr *, unsigned *)
    int getsockname(int, sockaddr *, unsigned *)

cdef enum:
    FEW = 1024  # descriptors of this process, if it may have no more

# An instance is filled in directly: the class's own constructor validates what
# cannot be wrong here, and costs as much as the rest of an accept.
cdef bint PLAIN = hasattr(IPv4Address("TCP", "127.0.0.1", 0), "__dict__")


cdef class AcceptedStream(Stream):
    cdef int begin(self, Engine engine, int fd) except -1:
        self.attach(engine, fd)
        self.connected = 1
        self.reading = True
        return enqueue(self)

    def adopt(self, reactor, socket, protocol, peer, server, sessionno):
        """Become the native transport of a connected socket object."""
        self.reactor = reactor
        self.socket = socket
        self.protocol = protocol
        self.peer = peer
        self.server = server
        self.sessionno = sessionno
        self.begin(reactor.engine, socket.fileno())


cdef object address(sockaddr_in *at):
    cdef char text[16]
    inet_ntop(AF_INET, &at.sin_addr, text, 16)
    host = text.decode("ascii")
    if not PLAIN:
        return IPv4Address("TCP", host, ntohs(at.sin_port))
    made = IPv4Address.__new__(IPv4Address)
    fields = made.__dict__
    fields["type"] = "TCP"
    fields["host"] = host
    fields["port"] = ntohs(at.sin_port)
    return made


def peer_address(int fd):
    """The IPv4 address at the other end of C{fd}; None where it is another kind."""
    cdef sockaddr_in name
    cdef unsigned size = sizeof(name)
    if getpeername(fd, <sockaddr *>&name, &size) < 0 or name.sin_family != AF_INET:
        return None
    return address(&name)


def host_address(int fd):
    """The IPv4 address at our end of C{fd}; None where it is another kind."""
    cdef sockaddr_in name
    cdef unsigned size = sizeof(name)
    if getsockname(fd, <sockaddr *>&name, &size) < 0 or name.sin_family != AF_INET:
        return None
    return address(&name)


cdef class Acceptor(Handle):
    """The accepting of one port.

    C{transport} is a subclass of C{AcceptedStream} for the compiled way, or None; then
    C{port.descriptor_accepted(fd)} is called, which owns the descriptor.
    C{port.accept_failed(errno)} is told of errors.
    """

    def __init__(self, Engine engine, port, int fd, transport):
        self.engine = engine
        self.port = port
        self.fd = fd
        self.transport = transport
        self.pending = []

    def reader(self):
        """What IReactorFDSet.getReaders lists for this handle, or None."""
        return self.port if self.wanted else None

    def writer(self):
        return None

    def start(self):
        """Accept, until C{stop}. What came in between is delivered first."""
        if not self.wanted and self.fd >= 0:
            self.wanted = True
            enqueue(self)

    def stop(self):
        """Accept no more. What the kernel had accepted already is kept."""
        if self.wanted:
            self.wanted = False
            if self.armed:
                enqueue(self)

    def retire(self):
        """Ask the kernel for no more, but deliver what it has accepted already; then C{close}."""
        self.retired = True
        if self.armed and not self.cancelling and self.fd >= 0:
            self.cancelling = True
            self.engine.cancel(self, self, TAG_ACCEPT)

    def close(self):
        """Stop for good, and close the listening socket as well."""
        cdef int fd = self.fd
        if fd < 0:
            return
        self.stop()
        self.fd = -1
        while self.pending:
            close(self.pending.pop())
        if self.engine.live():
            if self.armed and not self.cancelling:
                self.engine.cancel(self, self, TAG_ACCEPT)
            self.engine.close_fd(self, fd)
            # At once, not at the end of the turn: who hears that the port is
            # closed may bind it again.
            self.engine.flush()
        else:
            close(fd)

    cdef int orphan(self) except -1:
        self.armed = self.cancelling = False
        return enqueue(self)

    cdef int settle(self) except -1:
        self.queued = False
        while self.wanted and self.pending:
            self.accepted(self.pending.pop(0))
        if self.wanted:
            if not self.armed and not self.retired:
                # It takes whoever waits before anybody can say that they are too many. Where that
                # may be all descriptors there are, it takes one at a time.
                many = resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= FEW
                self.engine.accept(self, self.fd, many)
                self.armed = True
        elif self.armed and not self.cancelling and self.fd >= 0:
            self.cancelling = True
            self.engine.cancel(self, self, TAG_ACCEPT)
        return 0

    cdef int complete(self, int tag, int res, uint32_t flags) except -1:
        if not flags & UR_CQE_F_MORE:
            self.armed = self.cancelling = False
        if res >= 0:
            if self.fd < 0:
                close(res)
            elif self.wanted and not self.pending:
                self.accepted(res)
            else:
                self.pending.append(res)
        elif res != -ECANCELED and res != -EINTR and res != -EPERM and self.fd >= 0:
            # (EPERM: a packet filter refused this one connection.)
            try:
                self.port.accept_failed(-res)
            except BaseException:
                log.err()
        if self.wanted and not self.armed and not self.retired:
            enqueue(self)
        return 0

    def logPrefix(self):
        return self.port.logPrefix()

    cdef int accepted(self, int fd) except -1:
        calls(self)
        try:
            if self.transport is not None and self.port.transport is self.transport:
                self.connect(fd)
            else:
                self.port.descriptor_accepted(fd)
        except MemoryError:
            shortage.tell()
        except BaseException:
            log.err()
        return 0

    cdef int connect(self, int fd) except -1:
        """What twisted.internet.tcp.Port.doRead does with one connection."""
        cdef sockaddr_in name
        cdef unsigned size = sizeof(name)
        cdef AcceptedStream transport
        port = self.port
        if self.engine.peer_name(fd, &name, &size) < 0:
            close(fd)  # reset in the meantime
            return 0
        try:
            peer = address(&name)
            protocol = port.factory.buildProtocol(peer)
            transport = None if protocol is None else self.transport.__new__(self.transport)
        except BaseException:
            close(fd)
            raise
        if protocol is None:
            close(fd)
            return 0
        transport.reactor = port.reactor
        transport.protocol = protocol
        transport.server = port
        transport.peer = peer
        transport.sessionno = number = port.sessionno
        port.sessionno = number + 1
        transport.family = INTERNET
        transport.begin(self.engine, fd)
        protocol.makeConnection(transport)
        return 0
