"""WebSockets of a FastAPI application, by real clients through the real proxy."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any
from unittest import SkipTest

from websockets.asyncio.client import ClientConnection as AsyncClient
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from subproxy.fastpath.install import unavailable
from tests.integration.harness import ROOT, Process
from tests.integration.http2_web_socket import Http2WebSocket
from tests.integration.node import node_folder
from tests.integration.test_applications import HERE, ApplicationTestCase

HOST = "api.example"


async def _send_all(client: AsyncClient, messages: list[bytes]) -> None:
    for message in messages:
        await client.send(message)


class WebSocketTests(ApplicationTestCase):
    def start(self, *options: str) -> Process:
        return self.serve(f"{HERE}.asgi_site:app", *options, host=r"api\.example")

    def client(self, path: str = "/chat", **options: Any) -> ClientConnection:
        line = socket.create_connection(("127.0.0.1", self.world.port), timeout=30)
        self.addCleanup(line.close)
        return connect(f"ws://{HOST}:{self.world.port}{path}", sock=line, **options)

    def test_all(self) -> None:
        """On either event loop, compressed and not, short and long; each end is told."""
        for loop in ("uvloop", "asyncio"):
            guest = self.start(f"--loop={loop}")
            for compression in ("deflate", None):
                with self.client(
                    subprotocols=["chat", "superchat"],
                    compression=compression,
                    max_size=None,
                ) as client:
                    self.assertEqual(client.subprotocol, "superchat")
                    self.assertEqual(bool(client.protocol.extensions), compression is not None)
                    for message in ("grüß", b"\0\xff", "x" * 300_000, bytes(range(256)) * 3000, ""):
                        client.send(message)
                        self.assertEqual(client.recv(timeout=30), message)
                    client.ping().wait(30)
                    client.close(4001, "bye")
                guest.wait_for("over: 4001 bye")
            with self.client() as client:
                guest.signal(signal.SIGTERM)
                guest.wait_for("draining")
                client.send("still here")
                self.assertEqual(client.recv(timeout=30), "still here")
            self.assertEqual(guest.wait(), 0, guest.output)

    def test_many_ahead_of_what_comes_back(self) -> None:
        """The tunnel goes over to sockets of its own while much waits for the client."""
        self.start()
        messages = [os.urandom(70_000) for _ in range(20)]

        async def talk(compression: str | None) -> list[Any]:
            line = socket.create_connection(("127.0.0.1", self.world.port))
            options: Any = {"sock": line, "compression": compression, "max_size": None}
            async with connect_async(f"ws://{HOST}/chat", **options) as client:
                sending = asyncio.ensure_future(_send_all(client, messages))
                came = [await client.recv() for _ in messages]
                await sending
            return came

        for compression in ("deflate", None):
            came = asyncio.run(asyncio.wait_for(talk(compression), 20))
            self.assertTrue(came == messages, compression)

    def test_behind_the_sidecar(self) -> None:
        """A program that listens, here the server of the library that is our client, too."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "guest", f"--proxy=unix:{self.world.vsock}_12345"]
        command += [r"--host=api\.example", f"--to=http://127.0.0.1:{port}", "--"]
        program = ROOT / "tests" / "integration" / "programs" / "web_socket_server.py"
        guest = self.world.start("guest", [*command, sys.executable, str(program), str(port)])
        guest.wait_for("registered")
        with self.client(subprotocols=["chat"], max_size=None) as client:
            self.assertEqual(client.subprotocol, "chat")
            for message in ("grüß", b"\0\xff", bytes(range(256)) * 3000, "x"):
                client.send(message)
                self.assertEqual(client.recv(timeout=30), message)
            client.ping().wait(30)
        self.assertEqual(client.close_code, 1000)
        # The library wants a key, which a client of HTTP/2 has none of.
        if not unavailable():
            stream = self.over_http2(subprotocols="chat")
            self.assertEqual((stream.status, stream.subprotocol), ("200", "chat"))
            stream.send("grüß")
            self.assertEqual(stream.recv(), "grüß")
            stream.close(1000)
        guest.signal(signal.SIGTERM)
        guest.wait()

    def test_of_the_library(self) -> None:
        """An application on Twisted; what it refuses, and how each end is told."""
        guest = self.serve(f"{HERE}.web_socket_app:Echo", host=r"api\.example")
        for compression in ("deflate", None):
            with self.client(compression=compression, max_size=None) as client:
                self.assertEqual(bool(client.protocol.extensions), compression is not None)
                for message in ("grüß", b"\0\xff", "x" * 300_000, bytes(range(256)) * 3000, ""):
                    client.send(message)
                    self.assertEqual(client.recv(timeout=30), message)
                client.ping().wait(30)
                client.close(4001, "bye")
            guest.wait_for("over: 4001 bye")
        error = self.assertRaises(InvalidStatus, self.client, "/nowhere")
        self.assertEqual(error.response.status_code, 403)
        client = self.client()
        guest.signal(signal.SIGTERM)
        client.send("still here")
        self.assertEqual(client.recv(timeout=30), "still here")
        client.close()
        self.assertEqual(guest.wait(), 0, guest.output)

    def over_http2(self, path: str = "/chat", subprotocols: str = "") -> Http2WebSocket:
        """A WebSocket on a stream."""
        if unavailable():
            raise SkipTest("HTTP/2 is not spoken")
        line = socket.create_connection(("127.0.0.1", self.world.port), timeout=30)
        self.addCleanup(line.close)
        return Http2WebSocket(line, f"{HOST}:{self.world.port}", path, subprotocols)

    def test_over_http2(self) -> None:
        """RFC 8441: messages short and long, each end told; ASGI, then the library, refusals."""
        guest = self.start()
        client = self.over_http2(subprotocols="chat, superchat")
        self.assertEqual((client.status, client.subprotocol), ("200", "superchat"))
        for message in ("grüß", b"\0\xff", "x" * 300_000, bytes(range(256)) * 3000, ""):
            client.send(message)
            self.assertEqual(client.recv(), message)
        client.close(4001, "bye")
        self.assertEqual(client.close_code, 4001)
        guest.wait_for("over: 4001 bye")
        self.assertEqual(self.over_http2("/nowhere").status, "403")
        guest.signal(signal.SIGTERM)
        guest.wait()
        guest = self.serve(f"{HERE}.web_socket_app:Echo", host=r"api\.example")
        for path in ("/chat", "/bulk"):
            client = self.over_http2(path)
            for message in ("grüß", b"\0\xff" * 150_000):
                client.send(message)
                self.assertEqual(client.recv(), message)
            client.close(4001, "bye")
            guest.wait_for("over: 4001 bye")

    def test_node(self) -> None:
        """The client of a browser's kind that Node has: it offers permessage-deflate."""
        guest = self.world.start_guest(
            f"{HERE}.web_socket_app:Echo", r"--host=localhost|127\.0\.0\.1"
        )
        done = subprocess.run(
            [
                f"{node_folder()}/node",
                str(ROOT / "tests" / "integration" / "programs" / "web_socket_client.mjs"),
                f"ws://127.0.0.1:{self.world.port}/chat",
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.assertEqual(done.stdout, "4 messages, closed cleanly with 4001\n", done.stderr)
        guest.wait_for("over: 4001 bye")

    def test_curl(self) -> None:
        """libcurl's C{ws://}: what Debian has is built without, and a package brings its own."""
        try:
            from curl_cffi import CurlWsFlag, WebSocket
        except ImportError:
            raise SkipTest(
                "no curl_cffi, whose libcurl has WebSockets: pip install '.[test]'"
            ) from None
        guest = self.world.start_guest(
            f"{HERE}.web_socket_app:Echo", r"--host=localhost|127\.0\.0\.1"
        )
        client = WebSocket()
        client.connect(f"ws://127.0.0.1:{self.world.port}/chat", timeout=30)
        for message, kind in (
            ("grüß".encode(), CurlWsFlag.TEXT),
            (b"\0\xff", CurlWsFlag.BINARY),
            (b"x" * 60_000, CurlWsFlag.TEXT),
        ):
            client.send(message, kind, timeout=30)
            came, flags = client.recv(timeout=30)
            self.assertEqual((message, kind), (came, flags & kind))
        client.close(4001, "bye")
        guest.wait_for("over: 4001 bye")

    def test_many_at_once(self) -> None:
        self.start()
        failed: list[Exception] = []

        def talk(number: int) -> None:
            try:
                with self.client() as client:
                    for turn in range(20):
                        client.send(f"{number} {turn}")
                        self.assertEqual(client.recv(timeout=30), f"{number} {turn}")
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=talk, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])

    def test_refused(self) -> None:
        """What no route of the application takes: 403, as Starlette has it."""
        self.start()
        error = self.assertRaises(InvalidStatus, self.client, "/nowhere")
        self.assertEqual(error.response.status_code, 403)

    def test_ends(self) -> None:
        """A client that is gone is 1006 to the application; a guest that is, a break to it."""
        guest = self.start()
        client = self.client()
        client.send("x")
        client.recv(timeout=30)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.socket.close()
        guest.wait_for("over: 1006")
        client = self.client()
        guest.signal(signal.SIGKILL)
        closed = self.assertRaises(ConnectionClosed, client.recv, timeout=30)
        self.assertIsNone(closed.rcvd)
        guest.wait()
