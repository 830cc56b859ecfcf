"""
Addresses, and sets of networks in which they are looked for.

Addresses are text as the proxy knows its clients by (L{subproxy.core.http.request.RequestHead}):
IPv4, IPv6 without a zone, C{unix}; or whatever a trusted proxy wrote, which is in no network.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from ipaddress import IPv6Network, ip_address, ip_network

from subproxy.core.http.origin import IPV4, UNIX

_MAX_REMEMBERED = 1024
_LONGEST_REMEMBERED = 64
"""Bytes of an address that is remembered: none is longer, even with a scope."""

_MAPPED = IPv6Network("::ffff:0:0/96")
_BITS = {4: 32, 6: 128}


def plain_address(address: bytes) -> bytes:
    """C{address} without the IPv6 spelling of an IPv4 address, and without a zone."""
    if b":" in address:
        address = address.partition(b"%")[0]
        if address[:7].lower() == b"::ffff:" and b"." in address:
            address = address[7:]
    return address


def address_number(address: bytes) -> tuple[int, int] | None:
    """The version of an IP address, 4 or 6, and the address as a number; None if it is none."""
    if IPV4.fullmatch(address):
        return 4, int.from_bytes(bytes(map(int, address.split(b"."))), "big")
    try:
        parsed = ip_address(plain_address(address).decode("ascii"))
    except ValueError:
        return None
    return parsed.version, int(parsed)


class NetworkIntersection:
    """The addresses that are in all of some sets."""

    __slots__ = ("_sets",)

    def __init__(self, sets: Iterable[Container[bytes]]) -> None:
        self._sets = tuple(sets)

    def __contains__(self, address: object) -> bool:
        return all(address in each for each in self._sets)


class NetworkSet:
    """
    Networks, of which an address is looked for by one lookup for each length of a prefix.

    @param names: addresses or networks in CIDR form; C{"unix"} for whoever comes by a UNIX socket.
    @raise ValueError: one of them is neither.
    @ivar names: the same.
    """

    __slots__ = ("_known", "_networks", "_unix", "names")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = tuple(names)
        self._unix = "unix" in self.names
        networks: dict[tuple[int, int], set[int]] = {}
        for name in self.names:
            if name == "unix":
                continue
            network = ip_network(name, strict=False)
            length, base = network.prefixlen, int(network.network_address)
            version = network.version
            if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
                version, length, base = 4, length - 96, base & 0xFFFFFFFF
            shift = _BITS[version] - length
            networks.setdefault((version, shift), set()).add(base >> shift)
        self._networks = [(version, shift, found) for (version, shift), found in networks.items()]
        self._known: dict[bytes, bool] = {}

    def __contains__(self, address: object) -> bool:
        if not isinstance(address, bytes):
            return False
        if address == UNIX:
            return self._unix
        if not self._networks:
            return False
        known = self._known.get(address)
        if known is None:
            known = self._look_up(address)
            if len(address) > _LONGEST_REMEMBERED:
                return known
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[address] = known
        return known

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NetworkSet) and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)

    def _look_up(self, address: bytes) -> bool:
        parsed = address_number(address)
        if parsed is None:
            return False
        version, number = parsed
        return any(
            kind == version and number >> shift in found for kind, shift, found in self._networks
        )
