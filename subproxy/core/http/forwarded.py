"""
Who asked, and by which way, told to guests: X-Forwarded-For, -Host, -Proto, Forwarded and Via.

A client can write anything into these fields, so what it sent of them is dropped and the
proxy sets them from what it knows. What peers in trusted networks (other proxies) sent is read
(L{subproxy.core.http.origin}), and all fields are written anew from the one result, so that they
agree.

See RFC 7239 (C{Forwarded}) and RFC 9110 section 7.6.3 (C{Via}).

Compiled a second time: L{subproxy.fastpath._request_frame} and L{subproxy.fastpath._client_info}
(see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections.abc import Iterable

from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.networks import NetworkSet, plain_address
from subproxy.core.http.origin import UNIX, Origin, read_origin
from subproxy.wire.values import value_class

Headers = list[tuple[bytes, bytes]]


@value_class
class Peer:
    """
    The other end of a connection.

    @ivar address: its IP address as text, or L{UNIX}.
    @ivar trusted: it is a proxy whose word about the client is taken.
    @ivar scheme: C{b"http"} or C{b"https"}.
    @ivar tls: what is known of its connection over TLS; None: it has none, or not of ours.
    """

    address: bytes
    trusted: bool = False
    scheme: bytes = b"http"
    tls: ClientTls | None = None


class Trust:
    """
    The networks whose peers are believed.

    @param networks: addresses or networks in CIDR form; C{"unix"} for peers on UNIX sockets.
    @raise ValueError: one of them is neither.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = NetworkSet(networks)

    def trusts(self, address: bytes) -> bool:
        """Whether C{address} (text) is in one of the networks; what is no address is not."""
        return address in self._networks


class Forwarding:
    """
    Writes the forwarding fields of a request.

    @param trust: who is believed.
    @param pseudonym: the name of this proxy in C{Via}, a token.
    """

    def __init__(self, trust: Trust | None = None, pseudonym: bytes = b"subproxy") -> None:
        self.trust = trust or Trust()
        self.pseudonym = pseudonym
        self._via = {version: version + b" " + pseudonym for version in (b"1.0", b"1.1", b"2")}

    def peer(self, address: bytes, scheme: bytes = b"http", tls: ClientTls | None = None) -> Peer:
        """The peer at C{address}, with what is thought of it."""
        address = plain_address(address)
        return Peer(address, self.trust.trusts(address), scheme, tls)

    def stamp(self, headers: Headers, peer: Peer, host: bytes, version: bytes) -> bytes:
        """
        Add the fields to C{headers}, which holds none that the client sent.

        @param host: the Host that the client asked for, with its port; may be empty.
        @return: the address of the client.
        """
        address = peer.address
        headers.append((b"X-Forwarded-For", address))
        headers.append((b"X-Forwarded-Proto", peer.scheme))
        if host:
            headers.append((b"X-Forwarded-Host", host))
        headers.append((b"Forwarded", _element(address, host, peer.scheme)))
        headers.append((b"Via", self._via[version]))
        return address

    def stamp_trusted(
        self, headers: Headers, peer: Peer, host: bytes, version: bytes, sent: Headers
    ) -> Origin:
        """
        Add the fields to C{headers}, which holds none of them, by what a trusted peer C{sent}.

        C{Via} is a list, to which this hop is added.

        @return: what was believed.
        """
        origin = self.origin(sent, peer, host)
        headers += origin_fields(origin)
        via = [value for name, value in sent if value and name.lower() == b"via"]
        headers.append((b"Via", b", ".join([*via, self._via[version]])))
        return origin

    def origin(self, sent: Headers, peer: Peer, host: bytes) -> Origin:
        """Where a request came from, by what a trusted peer C{sent}."""
        return read_origin(sent, peer.address, peer.scheme, host, self.trust.trusts)


def origin_fields(origin: Origin) -> Headers:
    """
    The fields that tell a guest of C{origin}.

    In C{Forwarded} the client's element alone names a host and a scheme: some read the first
    element, some the last that has one, and all are to read the same.
    """
    first, *others = origin.way
    elements = [_element(first, origin.host, origin.scheme)]
    elements += [b"for=" + forwarded_node(address) for address in others]
    headers = [
        (b"X-Forwarded-For", b", ".join(origin.way)),
        (b"X-Forwarded-Proto", origin.scheme),
    ]
    if origin.host:
        headers.append((b"X-Forwarded-Host", origin.host))
    if origin.port:
        headers.append((b"X-Forwarded-Port", origin.port))
    headers.append((b"Forwarded", b", ".join(elements)))
    return headers


def forwarded_node(address: bytes) -> bytes:
    """C{address} as C{for=} in C{Forwarded} spells it (RFC 7239 section 6)."""
    if b":" in address:
        return b'"[' + address + b']"'
    return b"unknown" if address == UNIX or not address else address


def _element(address: bytes, host: bytes, scheme: bytes) -> bytes:
    node = forwarded_node(address)
    if not host:
        return b"for=" + node + b";proto=" + scheme
    return b"for=" + node + b';host="' + host + b'";proto=' + scheme
