r"""
The header of the PROXY protocol, version 1 and 2: bytes in, whom a proxy speaks for out. Pure.

It is the first thing on a connection, and must be there: what is none is an error, never passed
on. HAProxy, doc/proxy-protocol.txt, section 2::

    PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n
    PROXY UNKNOWN\r\n
    \r\n\r\n\0\r\nQUIT\n, version and command, family, length; addresses; TLVs

UNKNOWN of version 1, and LOCAL and UNSPEC of version 2, tell nothing: the connection's own peer
is the client. Of the TLVs the checksum is checked, and the one of TLS tells the scheme; all others
are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from subproxy.core.http.origin import UNIX
from subproxy.frontend.proxy_protocol.crc32c import crc32c
from subproxy.wire.values import value_class

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LONGEST_LINE = 107
"""Bytes of a header of version 1, with its end."""

LONGEST = 8192
"""Bytes of a header of version 2, with its TLVs: far more than its senders have to tell."""

_NAME = b"PROXY"
_LOCAL, _PROXY = 0, 1
_UNSPEC, _INET, _INET6, _UNIX = range(4)
_SIZES = {_UNSPEC: 0, _INET: 12, _INET6: 36, _UNIX: 216}
_TYPE_CRC32C, _TYPE_SSL = 0x03, 0x20
_CLIENT_SSL = 0x01


class ProxyHeaderError(Exception):
    """It is no header of the PROXY protocol; the text says why, for a person."""


@value_class
class ProxyHeader:
    """
    What a proxy tells of the client for which it speaks.

    @ivar version: 1 or 2.
    @ivar address: its IP address as text, or L{UNIX}; None if nothing is told.
    @ivar tls: it came to the proxy over TLS.
    """

    version: int
    address: bytes | None = None
    tls: bool = False


class ProxyHeaderParser:
    """
    Takes the header off the beginning of a connection, in whatever pieces it comes.

    @ivar rest: what came behind the header, once that is whole.
    @ivar began: something of it has come.
    """

    def __init__(self) -> None:
        self._held = b""
        self.rest = b""

    @property
    def began(self) -> bool:
        """See above."""
        return bool(self._held)

    def feed(self, data: bytes) -> ProxyHeader | None:
        """
        Take what has come; no more after a header or an error.

        @return: the header, or None as long as it is not whole.
        @raise ProxyHeaderError: it can't become one.
        """
        held = self._held = self._held + data
        if held[: len(_NAME)] == _NAME[: len(held)]:
            return self._line(held)
        if held[: len(SIGNATURE)] == SIGNATURE[: len(held)]:
            return self._binary(held)
        raise ProxyHeaderError("the connection does not begin with a PROXY header")

    def _line(self, held: bytes) -> ProxyHeader | None:
        end = held.find(b"\r\n", 0, LONGEST_LINE)
        line = held[: end if end >= 0 else LONGEST_LINE]
        if b"\n" in line or b"\r" in line[:-1] or (end >= 0 and b"\r" in line):
            raise ProxyHeaderError("a line of version 1 does not end in CR LF")
        if end < 0:
            if len(held) >= LONGEST_LINE:
                raise ProxyHeaderError(f"a line of version 1 is longer than {LONGEST_LINE} bytes")
            return None
        self.rest = held[end + 2 :]
        return ProxyHeader(1, _told_by_line(line))

    def _binary(self, held: bytes) -> ProxyHeader | None:
        if len(held) >= 13 and held[12] >> 4 != 2:
            raise ProxyHeaderError(f"version {held[12] >> 4} of the binary header is not known")
        if len(held) < 16:
            return None
        size = 16 + int.from_bytes(held[14:16], "big")
        if size > LONGEST:
            raise ProxyHeaderError(f"a header of {size} bytes is longer than {LONGEST}")
        if len(held) < size:
            return None
        self.rest = held[size:]
        return _told_by_block(held[:size])


def _told_by_line(line: bytes) -> bytes | None:
    name, _, rest = line.partition(b" ")
    protocol, space, rest = rest.partition(b" ")
    if name == _NAME and protocol == b"UNKNOWN":
        return None
    parts = rest.split(b" ")
    if name != _NAME or protocol not in (b"TCP4", b"TCP6") or not space or len(parts) != 4:
        raise ProxyHeaderError("the line of version 1 is not TCP4, TCP6 or UNKNOWN and its parts")
    source, destination, *ports = parts
    if not all(map(_is_port, ports)):
        raise ProxyHeaderError("the line of version 1 has a port that is none")
    kind: type[IPv4Address] | type[IPv6Address]
    kind = IPv4Address if protocol == b"TCP4" else IPv6Address
    try:
        kind(destination.decode("ascii"))
        address = kind(source.decode("ascii"))
    except ValueError:
        raise ProxyHeaderError("the line of version 1 has an address that is none") from None
    if b"%" in source + destination:
        raise ProxyHeaderError("the line of version 1 has an address with a zone")
    return _text(address)


def _is_port(text: bytes) -> bool:
    if not text.isdigit() or len(text) > 5 or (text[:1] == b"0" and len(text) > 1):
        return False
    return int(text) <= 65535


def _told_by_block(block: bytes) -> ProxyHeader:
    command, family, protocol = block[12] & 15, block[13] >> 4, block[13] & 15
    if command == _LOCAL:
        return ProxyHeader(2)
    if command != _PROXY:
        raise ProxyHeaderError(f"command {command} of version 2 is not known")
    if family not in _SIZES or protocol > 2:
        raise ProxyHeaderError(f"family {block[13]:#04x} of version 2 is not known")
    body = block[16:]
    size = _SIZES[family]
    if len(body) < size:
        raise ProxyHeaderError("the addresses of version 2 are cut off")
    tls = checked = False
    at = 16 + size
    for kind, value, start in _vectors(block, at):
        if kind == _TYPE_CRC32C:
            if checked:  # each costs as much as the whole header
                raise ProxyHeaderError("a second checksum in version 2")
            _check(block, value, start)
            checked = True
        elif kind == _TYPE_SSL:
            tls = bool(value[:1]) and bool(value[0] & _CLIENT_SSL)
    address: bytes | None = None
    if protocol != 0:  # an unknown protocol: what is told means nothing
        if family == _INET:
            address = _text(IPv4Address(body[:4]))
        elif family == _INET6:
            address = _text(IPv6Address(body[:16]))
        elif family == _UNIX:
            address = UNIX
    return ProxyHeader(2, address, tls)


def _vectors(block: bytes, at: int) -> Iterator[tuple[int, bytes, int]]:
    """Type, value, and where in C{block} the value begins."""
    while at < len(block):
        start = at + 3
        end = start + int.from_bytes(block[at + 1 : start], "big")
        if start > len(block) or end > len(block):
            raise ProxyHeaderError("a TLV of version 2 is cut off")
        yield block[at], block[start:end], start
        at = end


def _check(block: bytes, value: bytes, start: int) -> None:
    if len(value) != 4:
        raise ProxyHeaderError("the checksum of version 2 has not 4 bytes")
    if crc32c(block[:start] + bytes(4) + block[start + 4 :]) != int.from_bytes(value, "big"):
        raise ProxyHeaderError("the checksum of version 2 is wrong")


def _text(address: IPv4Address | IPv6Address) -> bytes:
    return str(getattr(address, "ipv4_mapped", None) or address).encode()
