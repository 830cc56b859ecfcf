"""
Who asked first, and for what: what trusted proxies said of the request that they passed on.

Two spellings are read. X-Forwarded-For, -Proto, -Host and -Port are what most proxies send;
C{Forwarded} (RFC 7239) is the standard. Proxies that set one of them often pass the other on as
their client sent it, so only one is believed: X-Forwarded-*, if a peer sends any of the first
three, else C{Forwarded}. They are never mixed.

Both are lists, nearest hop last. A hop is believed if whoever added it is trusted: our peer is, so
its hop is; a hop that names a trusted proxy makes the hop before it believed. The last
address so reached is the client, and what stands before it is the client's own invention. What is
malformed says nothing, and ends the way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from itertools import islice
from typing import Final, NamedTuple

from subproxy.core.http.normalise import host_fault, port_of

Headers = list[tuple[bytes, bytes]]

UNIX: Final = b"unix"
"""The address of a peer that came over a UNIX socket."""

MAX_HOPS: Final = 32
"""Hops that are looked at: what a request can cost is bounded."""

MAX_ELEMENT: Final = 1024
"""Bytes of an element of C{Forwarded}; a longer one is malformed."""


class Origin(NamedTuple):
    """
    Where a request came from.

    @ivar way: addresses as text, the client first, our peer last. The client may be our peer.
    @ivar scheme: C{b"http"} or C{b"https"}: what the client spoke.
    @ivar host: the host that the client asked for, perhaps with a port; may be empty.
    @ivar port: the port that the client asked at, as a trusted peer told it, or empty. Where
        C{host} names a port it is the same.
    """

    way: tuple[bytes, ...]
    scheme: bytes
    host: bytes
    port: bytes = b""

    @property
    def client(self) -> bytes:
        """The address of the client."""
        return self.way[0]


class _Hop(NamedTuple):
    """What one proxy said of whoever asked it; None where it said nothing, or nothing clean."""

    address: bytes | None = None
    scheme: bytes | None = None
    host: bytes | None = None
    port: bytes | None = None


def read_origin(
    sent: Headers, peer: bytes, scheme: bytes, host: bytes, trusts: Callable[[bytes], bool]
) -> Origin:
    """
    Read what a trusted peer sent.

    @param sent: its fields of that kind, in order; others are ignored.
    @param peer: its address.
    @param scheme: of its connection to us.
    @param host: the Host of the request; may be empty.
    @param trusts: whether an address is that of a trusted proxy.
    """
    lines: dict[bytes, list[bytes]] = {}
    for name, value in sent:
        if value:
            lines.setdefault(name.lower(), []).append(value)
    if b"forwarded" in lines and not lines.keys() & _WINS:
        hops = _forwarded_hops(lines[b"forwarded"])
    else:
        hops = _x_forwarded_hops(lines)
    way = [peer]
    port = b""
    for hop in islice(hops, MAX_HOPS):
        # The farther hop is nearer to the client.
        scheme = hop.scheme or scheme
        host = hop.host or host
        port = hop.port or port
        address = hop.address
        if address is None or (address == UNIX and not trusts(UNIX)):
            break
        way.append(address)
        if not trusts(address):
            break
    if port and port_of(host) not in (b"", port):
        port = b""
    way.reverse()
    return Origin(tuple(way), scheme, host, port)


_WINS = frozenset({b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"})


# X-Forwarded-*.


def _x_forwarded_hops(lines: dict[bytes, list[bytes]]) -> Iterator[_Hop]:
    """
    The hops, nearest first.

    Of a list of schemes, hosts or ports that is as long as the way, each belongs to the hop at its
    place; most proxies send one alone, which belongs to them all.
    """
    addresses = _from_the_right(lines.get(b"x-forwarded-for"))
    schemes = _from_the_right(lines.get(b"x-forwarded-proto"))
    hosts = _from_the_right(lines.get(b"x-forwarded-host"))
    ports = _from_the_right(lines.get(b"x-forwarded-port"))
    for index in range(len(addresses) or 1):
        yield _Hop(
            _address(addresses[index]) if addresses else None,
            _SCHEMES.get(_at(schemes, index).lower()) if schemes else None,
            _host(_at(hosts, index)) if hosts else None,
            _port(_at(ports, index)) if ports else None,
        )


def _from_the_right(values: list[bytes] | None) -> Sequence[bytes]:
    """The last elements of a list, the last first."""
    if values is None:
        return ()
    text = values[0] if len(values) == 1 else b",".join(values)
    if b"," not in text:
        text = text.strip(b" \t")
        return (text,) if text else ()
    parts = text.rsplit(b",", MAX_HOPS)
    if len(parts) > MAX_HOPS:
        del parts[0]
    return [each for part in reversed(parts) if (each := part.strip(b" \t"))]


def _at(elements: Sequence[bytes], index: int) -> bytes:
    return elements[index] if index < len(elements) else elements[-1]


# Forwarded.

_BACKWARDS = re.compile(rb'((?:[^",]|"[^"]*")*)(?:,|\Z)')
"""An element of a list that is read from its end. A hop that we believe was added there, and is
whole, whatever a client wrote in front of it."""

_PAIR = re.compile(rb'[ \t]*([^\s=;"]+)=(?:"([^"\\]*)"|([^\s;"\\]+))[ \t]*(?:;|\Z)')
"""Unquoted, also what RFC 7239 wants quoted: C{for=[::1]:80}."""

_SEMICOLON = 0x3B


def _forwarded_hops(values: list[bytes]) -> Iterator[_Hop]:
    """The hops, nearest first."""
    for value in reversed(values):
        backwards = value[::-1]
        at = 0
        while at < len(backwards):
            element = _BACKWARDS.match(backwards, at)
            if element is None:
                yield _Hop()
                return
            at = element.end()
            text = element[1][::-1].strip(b" \t")
            if text:
                yield _forwarded_hop(text)


def _forwarded_hop(element: bytes) -> _Hop:
    pairs: dict[bytes, bytes] = {}
    if len(element) > MAX_ELEMENT:
        return _Hop()
    at = 0
    while at < len(element):
        if element[at] == _SEMICOLON:
            at += 1
            continue
        pair = _PAIR.match(element, at)
        if pair is None:
            return _Hop()
        at = pair.end()
        name = pair[1].lower()
        if name in pairs:
            return _Hop()
        pairs[name] = pair[3] if pair[2] is None else pair[2]
    return _Hop(
        _address(pairs.get(b"for", b"")),
        _SCHEMES.get(pairs.get(b"proto", b"").lower()),
        _host(pairs.get(b"host", b"")),
    )


# What both have in them.

IPV4: Final = re.compile(
    rb"%b(?:\.%b){3}" % ((rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])",) * 2)
)
"""An IPv4 address as it is usually spelled, which is its one spelling."""

_SCHEMES: Final = {b"http": b"http", b"https": b"https", b"ws": b"http", b"wss": b"https"}
"""Some proxies name the scheme of a WebSocket."""


def _host(text: bytes) -> bytes | None:
    return text if host_fault(text) is None else None


def _port(text: bytes) -> bytes | None:
    if not text.isdigit() or len(text) > 5 or text[:1] == b"0" or int(text) > 65535:
        return None
    return text


def _address(text: bytes) -> bytes | None:
    """
    The address in an element of X-Forwarded-For, or in C{for=}: without port and brackets.

    None for C{unknown}, for a hidden name (RFC 7239 section 6.3), and for what is none.
    """
    if IPV4.fullmatch(text):
        return text
    if text in (UNIX, b"unix:"):
        return UNIX
    port = b""
    if text[:1] == b"[":
        text, bracket, port = text[1:].partition(b"]")
        if not bracket or b":" not in text or (port and port[:1] != b":"):
            return None
        port = port[1:]
    elif text.count(b":") == 1:
        text, _, port = text.partition(b":")
    if port and port[:1] != b"_" and (not port.isdigit() or len(port) > 5):
        return None
    return _plain(text)


def _plain(text: bytes) -> bytes | None:
    """
    The one spelling of an IP address: no zone, and no IPv6 spelling of an IPv4 address.

    None for what is no address.
    """
    try:
        address = ip_address(text.partition(b"%")[0].decode("ascii"))
    except ValueError:
        return None
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address).encode("ascii")
