"""The server endpoint that a string describes: Twisted's, and those of plugins."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import serverFromString

from .openssl import openssl

PLAIN = frozenset(("tcp", "tcp6", "unix", "systemd", "vsock", "hvsock"))
"""Kinds of which it is known that they have nothing to do with TLS."""


def server_endpoint(reactor: Any, description: str) -> Any:
    """
    As C{twisted.internet.endpoints.serverFromString}, which see.

    @raise ValueError: there is no such endpoint.
    """
    if description.partition(":")[0] not in PLAIN:
        openssl.provide()
    return serverFromString(reactor, description)
