# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""What guests and the log are told of clients: made once for each address, not for each request."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from twisted.internet.interfaces import ISSLTransport

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._scan cimport Field
from subproxy.reactor._stream cimport Stream

from subproxy.core.forwarded import UNIX, forwarded_node

cdef enum:
    MOST_TOLD = 4096  # addresses that are remembered


cdef class Told:
    """What is told of a client at one address. Made by `Clients.of`."""

    cdef bytes client(self, const Field *sent):
        """The address of the client, where the peer is a trusted proxy."""
        key = PyBytes_FromStringAndSize(<const char *>sent.value, sent.value_size)
        client = self.clients.get(key)
        if client is None:
            client = self.forwarding.client(key.split(b", "), self.peer)
            if len(self.clients) >= MOST_TOLD:
                self.clients.clear()
            self.clients[key] = client
        return client


cdef class Clients:
    """What is told of the clients of one frontend."""

    def __init__(self, forwarding):
        self.forwarding = forwarding
        self.told = {}

    cdef Told of(self, object transport):
        """What is told of the client at the other end of `transport`."""
        host = getattr(transport.getPeer(), "host", None)
        secure = not isinstance(transport, Stream) or transport.TLS
        secure = secure and ISSLTransport.providedBy(transport)
        return self.at(host, secure)

    cdef Told at(self, object host, bint secure):
        """What is told of the client at `host`, which is None on a UNIX socket."""
        cdef Told told
        told = self.told.get((host, secure))
        if told is None:
            told = self.make(host, secure)
            if len(self.told) >= MOST_TOLD:
                self.told.clear()
            self.told[(host, secure)] = told
        return told

    def make(self, host, secure):
        """What is told of clients at `host`."""
        cdef Told told = Told.__new__(Told)
        told.forwarding = self.forwarding
        told.peer = self.forwarding.peer(
            UNIX if host is None else host.encode("ascii", "replace"),
            b"https" if secure else b"http",
        )
        told.trusted = told.peer.trusted
        told.clients = {}
        told.address = told.peer.address
        told.scheme = told.peer.scheme
        told.node = forwarded_node(told.address)
        told.via = b"1.1 " + self.forwarding.pseudonym
        told.sender.address = <const u8 *>PyBytes_AS_STRING(told.address)
        told.sender.address_size = <int>PyBytes_GET_SIZE(told.address)
        told.sender.scheme = <const u8 *>PyBytes_AS_STRING(told.scheme)
        told.sender.scheme_size = <int>PyBytes_GET_SIZE(told.scheme)
        told.sender.node = <const u8 *>PyBytes_AS_STRING(told.node)
        told.sender.node_size = <int>PyBytes_GET_SIZE(told.node)
        told.sender.via = <const u8 *>PyBytes_AS_STRING(told.via)
        told.sender.via_size = <int>PyBytes_GET_SIZE(told.via)
        return told
