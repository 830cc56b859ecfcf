# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""What guests and the log are told of clients: made once for each address, not for each request.

The same in Python: C{subproxy.core.http.forwarded} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from twisted.internet.interfaces import ISSLTransport

from subproxy.fastpath._bytes cimport put_bytes, u8
from subproxy.fastpath._request_head cimport Field, Head
from subproxy.fastpath._tables cimport SENT_FOR, SENT_FORWARDED
from subproxy.reactor._stream cimport Stream

from subproxy.core.http.forwarded import forwarded_node, origin_fields
from subproxy.core.http.origin import IPV4, UNIX

cdef enum:
    MOST_TOLD = 4096  # addresses that are remembered
    MOST_ORIGINS = 4096  # what trusted peers said of clients that is remembered
    MOST_OTHERS = 1024  # likewise, but for the address of the client
    MOST_SAID = 512  # bytes of it; longer is made anew each time
    READ = SENT_FORWARDED - SENT_FOR + 1  # kinds of fields that say where a request comes from

cdef tuple NAMES = (
    b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host", b"X-Forwarded-Port", b"Forwarded",
)


cdef bytes encoded(bytes name, bytes value):
    """A field as it stands in a frame."""
    pair = b"%d:%b,%d:%b," % (len(name), name, len(value), value)
    return b"%d:%b]" % (len(pair), pair)


cdef class ClientOrigin:
    """What is told of a client by the word of a trusted peer. Made by C{ClientInfo.origin}."""


cdef class ClientInfo:
    """What is told of a client at one address. Made by C{ClientInfoCache.of}."""

    cdef ClientOrigin origin(self, const Head *head):
        """What is told of a client whose request a trusted peer has passed on."""
        cdef ClientOrigin origin
        cdef const Field *field
        cdef Py_ssize_t size = PyBytes_GET_SIZE(self.key) + head.host_size + READ
        cdef int i
        cdef u8 *o
        for i in range(READ):
            if head.sent[i].name != NULL:
                size += head.sent[i].value_size
        # No value holds a NUL, and none that is here is empty.
        said = PyBytes_FromStringAndSize(NULL, size)
        o = put_bytes(
            <u8 *>PyBytes_AS_STRING(said), PyBytes_AS_STRING(self.key), PyBytes_GET_SIZE(self.key)
        )
        for i in range(READ):
            field = &head.sent[i]
            if field.name != NULL:
                o = put_bytes(o, <const char *>field.value, field.value_size)
            o[0] = 0
            o += 1
        put_bytes(o, <const char *>head.host, head.host_size)
        origin = self.origins.get(said)
        if origin is None:
            origin = self.make(said[PyBytes_GET_SIZE(self.key):])
            if size <= MOST_SAID:
                if len(self.origins) >= MOST_ORIGINS:
                    self.origins.clear()
                self.origins[said] = origin
        return origin

    def make(self, bytes said):
        """What is told where the fields of C{NAMES}, and then Host, have these values."""
        cdef ClientOrigin told = ClientOrigin.__new__(ClientOrigin)
        *values, host = said.split(b"\0")
        address = values[0]
        rest = None
        known = None
        if len(said) <= MOST_SAID and IPV4.fullmatch(address):
            # One address alone is the client, whoever it is: all that differs for another one is where
            # it stands. A front has many clients, and says the same of each.
            rest = self.key + said[len(address):]
            known = self.others.get(rest)
        if known is None:
            sent = [pair for pair in zip(NAMES, values, strict=True) if pair[1]]
            origin = self.forwarding.origin(sent, self.peer, host)
            told.client = origin.client
            told.scheme = origin.scheme
            fields = origin_fields(origin)
            told.fields = b"".join([encoded(name, value) for name, value in fields])
            if rest is not None:
                (_, way), *between, (_, forwarded) = fields
                if len(self.others) >= MOST_OTHERS:
                    self.others.clear()
                self.others[rest] = (
                    told.scheme,
                    way[len(address):],
                    b"".join([encoded(name, value) for name, value in between]),
                    forwarded[len(b"for=" + address):],
                )
        else:
            told.client = address
            told.scheme, way, between, forwarded = known
            told.fields = (
                encoded(b"X-Forwarded-For", address + way)
                + between
                + encoded(b"Forwarded", b"for=" + address + forwarded)
            )
        told.via = self.via
        told.sender = self.sender
        told.sender.node = NULL
        told.sender.node_size = 0
        told.sender.address = <const u8 *>PyBytes_AS_STRING(told.client)
        told.sender.address_size = <int>PyBytes_GET_SIZE(told.client)
        told.sender.scheme = <const u8 *>PyBytes_AS_STRING(told.scheme)
        told.sender.scheme_size = <int>PyBytes_GET_SIZE(told.scheme)
        told.sender.fields = <const u8 *>PyBytes_AS_STRING(told.fields)
        told.sender.fields_size = <int>PyBytes_GET_SIZE(told.fields)
        return told


cdef class ClientInfoCache:
    """What is told of the clients of one frontend."""

    def __init__(self, forwarding):
        self.forwarding = forwarding
        self.told = {}
        self.origins = {}
        self.others = {}

    cdef int forget(self) except -1:
        """Who is believed has changed. What a C{ClientInfo} of before makes goes into the same tables."""
        self.told.clear()
        self.origins.clear()
        self.others.clear()
        return 0

    cdef ClientInfo of(self, object transport):
        """What is told of the client at the other end of C{transport}."""
        host = getattr(transport.getPeer(), "host", None)
        secure = not isinstance(transport, Stream) or transport.TLS
        secure = secure and ISSLTransport.providedBy(transport)
        return self.at(host, secure)

    cdef ClientInfo at(self, object host, bint secure):
        """What is told of the client at C{host}, which is None on a UNIX socket."""
        cdef ClientInfo told
        told = self.told.get((host, secure))
        if told is None:
            told = self.make(host, secure)
            if len(self.told) >= MOST_TOLD:
                self.told.clear()
            self.told[(host, secure)] = told
        return told

    cdef ClientInfo with_http2(self, ClientInfo told):
        """What is told of the same client where it speaks HTTP/2."""
        cdef ClientInfo found
        key = (told.address, told.scheme)
        found = self.told.get(key)
        if found is None:
            found = self.describe(told.peer, True)
            if len(self.told) >= MOST_TOLD:
                self.told.clear()
            self.told[key] = found
        return found

    def make(self, host, secure):
        """What is told of clients at C{host}."""
        return self.describe(
            self.forwarding.peer(
                UNIX if host is None else host.encode("ascii", "replace"),
                b"https" if secure else b"http",
            ),
            False,
        )

    def describe(self, peer, http2):
        """What is told of C{peer}."""
        cdef ClientInfo told = ClientInfo.__new__(ClientInfo)
        told.forwarding = self.forwarding
        told.peer = peer
        told.trusted = told.peer.trusted
        told.origins = self.origins
        told.others = self.others
        told.address = told.peer.address
        told.scheme = told.peer.scheme
        told.key = told.address + b" " + told.scheme + (b" 2\0" if http2 else b"\0")
        told.node = forwarded_node(told.address)
        told.via = (b"2 " if http2 else b"1.1 ") + self.forwarding.pseudonym
        told.sender.address = <const u8 *>PyBytes_AS_STRING(told.address)
        told.sender.address_size = <int>PyBytes_GET_SIZE(told.address)
        told.sender.scheme = <const u8 *>PyBytes_AS_STRING(told.scheme)
        told.sender.scheme_size = <int>PyBytes_GET_SIZE(told.scheme)
        told.sender.node = <const u8 *>PyBytes_AS_STRING(told.node)
        told.sender.node_size = <int>PyBytes_GET_SIZE(told.node)
        told.sender.via = <const u8 *>PyBytes_AS_STRING(told.via)
        told.sender.via_size = <int>PyBytes_GET_SIZE(told.via)
        told.sender.fields = NULL
        told.sender.fields_size = 0
        told.sender.http2 = http2
        return told
