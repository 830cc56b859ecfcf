"""Dials the program; a name is looked up once, for as long as its address answers."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Callable
from typing import Any, TypeVar

from guest.sidecar.address import ProgramAddress
from guest.sidecar.unix_dialling import dial_unix

TIMEOUT = 5.0
"""Seconds that a dial may take."""

P = TypeVar("P", bound=asyncio.BaseProtocol)


class ProgramDialler:
    """
    Makes connections to one address.

    C{localhost} is C{::1} for some programs and C{127.0.0.1} for others: each is tried, and the one
    that answered is tried first.

    @param timeout: seconds for each dial.
    """

    def __init__(self, address: ProgramAddress, timeout: float = TIMEOUT) -> None:
        self.address = address
        self._timeout = timeout
        self._known: str | None = None

    async def dial(self, loop: asyncio.AbstractEventLoop, protocol: Callable[[], P]) -> P:
        """
        A connection, made.

        @raise OSError: there is none to be had, within the time for it.
        """
        try:
            return await asyncio.wait_for(self._dial(loop, protocol), self._timeout)
        except asyncio.TimeoutError:
            raise OSError(f"no answer within {self._timeout:g} s") from None

    async def _dial(self, loop: asyncio.AbstractEventLoop, protocol: Callable[[], P]) -> P:
        if self.address.path:
            return await dial_unix(loop, protocol, self.address.path)
        if self._known is not None:
            try:
                return (await self._dial_tcp(loop, protocol, self._known))[1]
            except OSError:
                if self._known == self.address.host:
                    raise
                self._known = None
        transport, made = await self._dial_tcp(loop, protocol, self.address.host)
        self._known = _numeric(transport) or self.address.host
        return made

    async def _dial_tcp(
        self, loop: asyncio.AbstractEventLoop, protocol: Callable[[], P], host: str
    ) -> tuple[asyncio.BaseTransport, P]:
        transport, made = await loop.create_connection(protocol, host, self.address.port)
        if transport.get_extra_info("sockname") == transport.get_extra_info("peername"):
            # A port of the ephemeral range that nobody listens on may be given to our own end: the
            # connection is one with itself, and would keep the program from its port.
            linger = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
            transport.abort()
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        return transport, made


def _numeric(transport: asyncio.BaseTransport) -> str | None:
    peer: Any = transport.get_extra_info("peername")
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in peer[0] else socket.AF_INET, peer[0])
    except (OSError, TypeError, IndexError):
        return None  # an address with a scope
    return str(peer[0])
