"""Tests for L{guest.asyncio.address}: where a proxy is, and how it is dialled."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import tempfile
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from guest.asyncio.address import (
    ProxyAddress,
    TCPProxyAddress,
    UnixProxyAddress,
    VsockProxyAddress,
    parse_address,
)


class Line(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport


class ParseAddressTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        for text, kind, state in (
            ("unix:/run/a.sock_1", UnixProxyAddress, {"_path": "/run/a.sock_1"}),
            ("unix:path=/run/a", UnixProxyAddress, {"_path": "/run/a"}),
            (r"unix:/run/a\:b", UnixProxyAddress, {"_path": "/run/a:b"}),
            ("unix:/a:timeout=3", UnixProxyAddress, {"_path": "/a", "timeout": 3.0}),
            ("tcp:127.0.0.1:80", TCPProxyAddress, {"_host": "127.0.0.1", "_port": 80}),
            ("tcp:host=h:port=80", TCPProxyAddress, {"_host": "h", "_port": 80}),
            ("tcp:h:port=80", TCPProxyAddress, {"_host": "h", "_port": 80}),
            (r"tcp:\:\:1:80", TCPProxyAddress, {"_host": "::1", "_port": 80}),
        ):
            address = parse_address(text)
            self.assertIs(type(address), kind, text)
            self.assertEqual(vars(address), state, text)
        vsock = parse_address("vsock:3:12345")
        assert isinstance(vsock, VsockProxyAddress)
        self.assertEqual(vsock._address, (3, 12345))
        self.assertEqual(parse_address("vsock:12345")._address, (2, 12345))  # type: ignore[attr-defined]

    def test_what_is_none(self) -> None:
        for text, said in (
            ("", "unix:PATH, tcp:HOST:PORT and vsock:CID:PORT"),
            ("/run/a.sock", "of a socket say unix:/run/a.sock"),
            ("tls:host:1", "which dials"),
            ("unix:", "expected unix:PATH"),
            ("unix:/" + "a" * 107, "longer than 107 bytes"),
            ("tcp:h", "expected tcp:HOST:PORT"),
            ("tcp:h:0", "expected tcp:HOST:PORT"),
            ("tcp:h:80:90", "expected tcp:HOST:PORT"),
            ("tcp:h:80:timeout=x", "expected seconds"),
            ("tcp:h:80:bind=1", "nothing is known of bind="),
            ("vsock:a:b", "with numbers"),
        ):
            error = self.assertRaises(ValueError, parse_address, text)
            self.assertIn(said, str(error), text)


class DialTests(SynchronousTestCase):
    """Over unix sockets here: no other kind may be opened on any machine that runs tests."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "s")

    def dial(self, address: ProxyAddress) -> Any:
        async def main() -> Any:
            server = await asyncio.get_running_loop().create_unix_server(Line, self.path)
            try:
                line = await address.connect(Line)
                line.transport.write(b"x")
                line.transport.abort()
                await asyncio.sleep(0)
                return line
            finally:
                server.close()

        return asyncio.run(main())

    def vsock(self, path: str) -> VsockProxyAddress:
        """An address whose sockets are unix sockets, so that it can be dialled anywhere."""
        address = VsockProxyAddress(2, 1, lambda: socket.socket(socket.AF_UNIX))
        address._address = path
        return address

    def test_unix(self) -> None:
        self.assertIsInstance(self.dial(UnixProxyAddress(self.path)), Line)

    def test_vsock(self) -> None:
        self.assertIsInstance(self.dial(self.vsock(self.path)), Line)

    def test_nobody_is_there(self) -> None:
        for address in (UnixProxyAddress(self.path + "x"), self.vsock(self.path + "x")):
            with self.assertRaises(OSError) as caught:
                self.dial(address)
            self.assertEqual(caught.exception.errno, errno.ENOENT)

    def test_not_in_time(self) -> None:
        class Never(ProxyAddress):
            timeout = 0.01

            async def _connect(self, loop: Any, factory: Any) -> Any:
                await loop.create_future()

        with self.assertRaises(TimeoutError) as caught:
            self.dial(Never())
        self.assertEqual(caught.exception.errno, errno.ETIMEDOUT)
