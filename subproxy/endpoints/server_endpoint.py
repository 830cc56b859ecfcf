"""The server endpoint that a string describes: Twisted's, and those of plugins."""

from __future__ import annotations

import re
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
    try:
        return serverFromString(reactor, description)
    except TypeError as error:
        # Of Twisted's parsers, which take parts of a string for arguments of a function.
        raise ValueError(_in_words(description.partition(":")[0], str(error))) from None


def _in_words(kind: str, said: str) -> str:
    unknown = re.search(r"unexpected keyword argument '(\w+)'", said)
    if unknown:
        return f"{kind}: has no {unknown[1]}="
    if "multiple values" in said or "positional argument" in said:
        return (
            f"{kind}: has too few parts, or too many; a colon within one is written "
            "\\:, as in tcp6:8888:interface=\\:\\:1"
        )
    return said
