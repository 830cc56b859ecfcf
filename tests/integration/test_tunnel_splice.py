"""
Tunnels that go from socket to socket, on real ones: what comes, in which order, and how it ends.

On each reactor, with the compiled path and without.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from websockets.sync.client import connect

from subproxy.wire import messages as m
from tests.integration.body_guest import DataLine, ScriptedGuest
from tests.integration.harness import World, wait_until

ASK = (
    b"GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MUCH = os.urandom(1 << 20) * 3
RESET = b"\1\0\0\0\0\0\0\0"


def background(work: Callable[[], object]) -> threading.Thread:
    """Do C{work} beside what follows."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


class Played:
    """One tunnel of a guest whose steps are said."""

    def __init__(self, world: World, direct: bool) -> None:
        self.guest = ScriptedGuest(f"{world.vsock}_12345", (b"websocket",))
        self.client = socket.create_connection(("127.0.0.1", world.port), timeout=20)
        self.client.sendall(ASK)
        self.number = self.guest.take(m.Request).exchange
        self.guest.say(m.Response(self.number, 200, [], {}, {} if direct else None))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.client.recv(1)
        assert head.startswith(b"HTTP/1.1 101 "), head
        if direct:
            self.line = self.dial()

    def dial(self) -> DataLine:
        token = self.guest.take(m.Connect).token
        line = DataLine(self.guest.path)
        line.claim(self.number, token, first=True)
        return line

    def came(self, size: int) -> bytes:
        """So many bytes at the client; less at its end."""
        data = bytearray()
        while len(data) < size and (piece := self.client.recv(size - len(data))):
            data += piece
        return bytes(data)

    def close(self) -> None:
        self.client.close()
        self.guest.close()


class TunnelSpliceTests(SynchronousTestCase):
    """On io_uring."""

    reactor = "io_uring"

    def setUp(self) -> None:
        self.worlds = []
        for options in ((), ("--no-fastpath",)):
            world = World()
            self.addCleanup(world.close)
            self.worlds.append(world)
            world.start_proxy(
                f"--access-log={world.folder / 'access.log'}",
                "--hold=0",
                *options,
                twistd=(f"--reactor={self.reactor}",),
            ).wait_for("guests on")

    def play(self, world: World, direct: bool = True) -> Played:
        played = Played(world, direct)
        self.addCleanup(played.close)
        return played

    def pipes(self, world: World) -> int:
        """How many ends of pipes the proxy has."""
        assert world.proxy is not None
        folder = Path(f"/proc/{world.proxy.child.pid}/fd")
        return sum(os.readlink(each).startswith("pipe:") for each in folder.iterdir())

    def test_all(self) -> None:
        for world in self.worlds:
            for scene in (
                self.both_ways,
                self.moved,
                self.an_end_that_comes_first,
                self.a_close_that_overtakes_the_end,
                self.a_break,
                self.a_client_that_resets,
                self.more_than_its_end,
                self.a_client_that_takes_nothing,
            ):
                scene(world)
            self.of_the_library(world)
            assert world.proxy is not None
            self.assertNotIn("Traceback", world.proxy.output)

    def both_ways(self, world: World) -> None:
        """All at once, and each half ends by itself."""
        play = self.play(world)
        got: list[bytes] = []
        reading = background(lambda: got.append(play.line.read(len(MUCH))))
        coming = background(lambda: got.append(play.came(len(MUCH))))
        sending = background(lambda: play.line.socket.sendall(MUCH))
        play.client.sendall(MUCH)
        for each in (reading, coming, sending):
            each.join(30)
        self.assertEqual(got, [MUCH, MUCH])
        self.assertGreaterEqual(self.pipes(world), 4)
        play.client.shutdown(socket.SHUT_WR)
        end = play.guest.take(m.End)
        self.assertEqual(end.info, {b"length": len(MUCH)})
        play.line.socket.sendall(b"still here")
        self.assertEqual(play.came(10), b"still here")
        play.guest.end(play.number, len(MUCH) + 10)
        self.assertEqual(play.came(1), b"")
        log = world.folder / "access.log"
        wait_until(lambda: f" 101 {len(MUCH) + 10} " in log.read_text(), "a line in the log")

    def moved(self, world: World) -> None:
        """From frames, in the middle of what both send."""
        play = self.play(world, direct=False)
        guest, number = play.guest, play.number
        guest.wire.consumed(number, 0)
        guest.wire.write_body(number, b"in a frame, ")
        guest.flush()
        sending = background(lambda: play.client.sendall(MUCH))
        framed = bytearray()
        offer = None
        while offer is None:
            event = guest.take(m.Message)
            if isinstance(event, m.Body):
                framed += event.data
                guest.wire.consumed(number, len(event.data))
                guest.flush()
            elif isinstance(event, m.Connect):
                offer = event
        line = DataLine(guest.path)
        line.claim(number, offer.token, first=True)
        line.socket.sendall(b"too early for its move, ")
        while not isinstance(event := guest.take(m.Message), m.Move):
            assert isinstance(event, m.Body), event
            framed += event.data
        self.assertEqual(event.length, len(framed))
        self.assertEqual(bytes(framed) + line.read(len(MUCH) - len(framed)), MUCH)
        sending.join(30)
        self.assertEqual(play.came(12), b"in a frame, ")
        guest.wire.move_body(number)
        guest.flush()
        sending = background(lambda: line.socket.sendall(MUCH))
        self.assertEqual(play.came(24 + len(MUCH)), b"too early for its move, " + MUCH)
        sending.join(30)
        self.assertGreaterEqual(self.pipes(world), 4)
        guest.end(number, 36 + len(MUCH))
        self.assertEqual(play.came(1), b"")
        play.client.sendall(b"last")
        self.assertEqual(line.read(4), b"last")
        play.client.close()
        self.assertEqual(guest.take(m.End).info, {b"length": len(MUCH) + 4})

    def an_end_that_comes_first(self, world: World) -> None:
        play = self.play(world)
        play.line.socket.sendall(b"12345")
        self.assertEqual(play.came(5), b"12345")
        play.guest.end(play.number, 10)
        play.line.socket.sendall(b"67890")
        self.assertEqual(play.came(6), b"67890")

    def a_close_that_overtakes_the_end(self, world: World) -> None:
        play = self.play(world)
        play.client.shutdown(socket.SHUT_WR)
        play.guest.take(m.End)
        play.line.socket.sendall(b"12345")
        play.line.socket.close()
        self.assertEqual(play.came(5), b"12345")
        play.guest.end(play.number, 5)
        self.assertEqual(play.came(1), b"")

    def a_break(self, world: World) -> None:
        """The end of a data connection is none of a tunnel."""
        play = self.play(world)
        play.line.socket.sendall(b"12345")
        self.assertEqual(play.came(5), b"12345")
        play.line.socket.close()
        self.assertRaises(ConnectionResetError, play.came, 1)
        self.assertEqual(play.guest.take(m.Abort).code, b"error")

    def a_client_that_resets(self, world: World) -> None:
        play = self.play(world)
        play.client.sendall(b"12345")
        self.assertEqual(play.line.read(5), b"12345")
        play.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        play.client.close()
        self.assertEqual(play.guest.take(m.Abort).code, b"client")
        self.assertEqual(play.line.socket.recv(1), b"")

    def more_than_its_end(self, world: World) -> None:
        play = self.play(world)
        play.line.socket.sendall(b"12345")
        self.assertEqual(play.came(5), b"12345")
        play.guest.end(play.number, 4)
        self.assertRaises(ConnectionResetError, play.came, 1)
        self.assertEqual(play.guest.take(m.Abort).code, b"protocol")

    def a_client_that_takes_nothing(self, world: World) -> None:
        """It holds up its guest, and the other half goes on."""
        play = self.play(world)
        lots = MUCH * 8
        sending = background(lambda: play.line.socket.sendall(lots))
        for _ in range(20):
            play.client.sendall(b"x" * 1000)
            self.assertEqual(play.line.read(1000), b"x" * 1000)
        self.assertTrue(sending.is_alive())
        self.assertEqual(play.came(len(lots)), lots)
        sending.join(30)

    def of_the_library(self, world: World) -> None:
        """Messages from short to long, in frames first or not, of which none is lost."""
        command = [sys.executable, "-m", "guest", f"--proxy=unix:{world.vsock}_12345"]
        command += [r"--host=b\.example", "tests.integration.web_socket_app:Echo"]
        guest = world.start("guest", command)
        guest.wait_for("registered")
        for path in ("chat", "bulk"):
            line = socket.create_connection(("127.0.0.1", world.port), timeout=30)
            address = f"ws://b.example:{world.port}/{path}"
            with connect(address, sock=line, compression=None, max_size=None) as client:
                for size in (10, 1_000_000, 1, 3_000_000, 70_000, 100, 3_000_000, 5):
                    message = MUCH[:size]
                    client.send(message)
                    self.assertEqual(client.recv(timeout=30), message)
                client.close(4000 + len(path))
            self.assertEqual(client.close_code, 4004)
        guest.wait_for("over: 4004", count=2)
        guest.end()


class TunnelSpliceCompiledEpollTests(TunnelSpliceTests):
    """On the compiled reactor on epoll."""

    reactor = "compiled_epoll"


class TunnelSpliceEpollTests(TunnelSpliceTests):
    """On Twisted's epoll reactor."""

    reactor = "epoll"
