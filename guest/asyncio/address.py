"""
Where a proxy is, and how it is dialled: C{unix:PATH}, C{tcp:HOST:PORT}, C{vsock:CID:PORT}.

The forms of Twisted's client endpoints with names (C{tcp:host=127.0.0.1:port=80},
C{timeout=SECONDS}) and with C{\\:} for a colon are taken too.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from guest.core.given_socket import let_go
from guest.core.vsock_address import AF_VSOCK, parse_cid_port

TIMEOUT = 30.0
"""Seconds that a dial may take, unless C{timeout=} says otherwise; for vsock..."""

VSOCK_TIMEOUT = 10.0
"""... so many; the kernel has a time-out of 2 seconds of its own."""

P = TypeVar("P", bound=asyncio.BaseProtocol)


class ProxyAddress(ABC):
    """
    Where a proxy listens.

    @ivar timeout: seconds that a dial may take.
    """

    timeout = TIMEOUT

    async def connect(self, factory: Callable[[], P]) -> P:
        """
        Dial.

        @return: the protocol that C{factory} has made.
        @raise OSError: nobody answers there, or not in time.
        """
        loop = asyncio.get_running_loop()
        try:
            return await asyncio.wait_for(self._connect(loop, factory), self.timeout)
        except asyncio.TimeoutError:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None

    @abstractmethod
    async def _connect(self, loop: asyncio.AbstractEventLoop, factory: Callable[[], P]) -> P:
        """Dial."""


class UnixProxyAddress(ProxyAddress):
    """A unix socket: where vsock is emulated, C{PATH_12345}."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def _connect(self, loop: asyncio.AbstractEventLoop, factory: Callable[[], P]) -> P:
        _, protocol = await loop.create_unix_connection(factory, self._path)
        return protocol


class TCPProxyAddress(ProxyAddress):
    """A host and a port: for tests, or through somebody's tunnel."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def _connect(self, loop: asyncio.AbstractEventLoop, factory: Callable[[], P]) -> P:
        _, protocol = await loop.create_connection(factory, self._host, self._port)
        return protocol


class VsockProxyAddress(ProxyAddress):
    """
    A CID and a port, over C{AF_VSOCK}.

    What has been dialled is wrapped anew as a socket of C{AF_UNIX}, which every event loop
    takes: same descriptor, same calls.
    """

    timeout = VSOCK_TIMEOUT

    def __init__(
        self,
        cid: int,
        port: int,
        opener: Callable[[], socket.socket] = lambda: socket.socket(AF_VSOCK, socket.SOCK_STREAM),
    ) -> None:
        """
        Take the numbers.

        @param opener: makes the socket.
        """
        self._address: Any = (cid, port)
        self._opener = opener

    async def _connect(self, loop: asyncio.AbstractEventLoop, factory: Callable[[], P]) -> P:
        dialling = self._opener()
        try:
            dialling.setblocking(False)
            await self._dial(loop, dialling)
            connected = socket.socket(
                socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=dialling.detach()
            )
        except BaseException:
            dialling.close()
            raise
        try:
            connected.setblocking(False)
            transport, protocol = await loop.create_unix_connection(factory, sock=connected)
            let_go(connected, transport)
        except BaseException:
            connected.close()
            raise
        return protocol

    async def _dial(self, loop: asyncio.AbstractEventLoop, dialling: socket.socket) -> None:
        number = dialling.connect_ex(self._address)
        if number in (errno.EINPROGRESS, errno.EAGAIN):
            writable = loop.create_future()

            def ready() -> None:
                if not writable.done():
                    writable.set_result(None)

            loop.add_writer(dialling.fileno(), ready)
            try:
                await writable
            finally:
                loop.remove_writer(dialling.fileno())
            number = dialling.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))


def parse_address(description: str) -> ProxyAddress:
    """
    The address of a description.

    @raise ValueError: it is none that is dialled here, with what is wrong.
    """
    numbers = parse_cid_port(description)
    if numbers is not None:
        return VsockProxyAddress(*numbers)
    kind, *rest = (each.replace("\\:", ":") for each in re.split(r"(?<!\\):", description))
    plain = [each for each in rest if not re.match(r"[a-z]\w*=", each)]
    named = dict(each.split("=", 1) for each in rest if each not in plain)
    address = _unix(plain, named) if kind == "unix" else _tcp(kind, plain, named)
    timeout = named.pop("timeout", "")
    if named:
        raise ValueError(f"not a client endpoint: nothing is known of {next(iter(named))}=")
    if timeout:
        address.timeout = _timeout(timeout)
    return address


def _unix(plain: list[str], named: dict[str, str]) -> ProxyAddress:
    path = named.pop("path", None) or (plain[0] if len(plain) == 1 else "")
    if not path:
        raise ValueError("not a client endpoint: expected unix:PATH")
    if len(os.fsencode(path)) > 107:
        raise ValueError("not a client endpoint: the path is longer than 107 bytes")
    return UnixProxyAddress(path)


def _tcp(kind: str, plain: list[str], named: dict[str, str]) -> ProxyAddress:
    if kind != "tcp":
        hint = f"; of a socket say unix:{kind}" if kind.startswith(("/", ".")) else ""
        raise ValueError(
            "not a client endpoint: this application is served on asyncio, which dials "
            f"unix:PATH, tcp:HOST:PORT and vsock:CID:PORT{hint}"
        )
    values = iter(plain)
    host = named.pop("host", None) or next(values, "")
    port = named.pop("port", None) or next(values, "")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536 or next(values, None):
        raise ValueError("not a client endpoint: expected tcp:HOST:PORT")
    return TCPProxyAddress(host, int(port))


def _timeout(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1
    if not 0 < found <= 86_400:
        raise ValueError(f"not a client endpoint: timeout={text}: expected seconds")
    return found
