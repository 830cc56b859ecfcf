"""Who speaks on a connection, told by its transport alone."""

from __future__ import annotations

import os

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress, ITransport

from .addresses import HybridVsockAddress, VsockAddress

__all__ = ["identity_of", "identity_of_peer", "identity_of_transport"]


def identity_of(address: IAddress) -> str:
    """The identity that an address stands for.

    C{cid:10} for native vsock, C{path:/tmp/cid10.sock} for emulated, and for
    the demos and tests that use other endpoints: C{path:/tmp/x} for a plain
    unix listener and C{tcp:127.0.0.1} for TCP. An address of any other kind
    proves nothing, so its kind is all that is told (C{unknown:PipeAddress}).
    """
    if isinstance(address, VsockAddress | HybridVsockAddress):
        return address.identity
    if isinstance(address, IPv4Address | IPv6Address):
        return f"tcp:{address.host}"
    if isinstance(address, UNIXAddress):
        if not address.name:
            return "unknown:UNIXAddress"
        if address.name.startswith(b"\0"):
            return "path:@" + os.fsdecode(address.name[1:])
        return HybridVsockAddress(os.fsdecode(address.name)).identity
    return f"unknown:{type(address).__name__}"


def identity_of_peer(address: object) -> str | None:
    """The identity of whoever has that address, where the address alone proves it, else None."""
    if isinstance(address, VsockAddress | HybridVsockAddress):
        return address.identity
    return None


def identity_of_transport(transport: ITransport) -> str:
    """The identity of whoever is at the other end of an accepted connection.

    It is the peer's, but on a plain unix socket the listener's: a client is free
    to bind its own end to any name, so that name is its word, not a proof.
    """
    host = transport.getHost()
    return identity_of(host if isinstance(host, UNIXAddress) else transport.getPeer())
