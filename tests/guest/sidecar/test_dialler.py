"""How a program is dialled."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

from guest.sidecar.address import parse_program_address
from guest.sidecar.dialler import ProgramDialler
from tests.rigs.clock_loop import ClockLoopCase
from tests.rigs.unix_listener import UnixListener


class Transport:
    def __init__(self, peer: Any, own: Any = ("127.0.0.1", 50_000)) -> None:
        self.told = {"peername": peer, "sockname": own, "socket": self}
        self.options: list[Any] = []
        self.aborted = False

    def get_extra_info(self, name: str) -> Any:
        return self.told[name]

    def setsockopt(self, *option: Any) -> None:
        self.options.append(option)

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return False


class FakeNetwork:
    """
    The calls of an event loop that a dial makes.

    @ivar names: to which addresses a name leads.
    @ivar up: those that answer.
    """

    def __init__(self) -> None:
        self.names = {"localhost": ["::1", "127.0.0.1"]}
        self.up = {"127.0.0.1"}
        self.dialled: list[Any] = []
        self.last: Transport

    async def create_connection(self, protocol: Any, host: str, port: int) -> Any:
        self.dialled.append(host)
        for each in self.names.get(host, [host]):
            if each.partition("%")[0] in self.up:
                own = (each, port) if each == "127.0.0.9" else ("127.0.0.1", 50_000)
                self.last = Transport((each, port), own)
                return self.last, protocol()
        if host == "silent":
            await asyncio.sleep(60)
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    async def create_unix_connection(self, protocol: Any, sock: socket.socket) -> Any:
        self.dialled.append("unix")
        sock.close()
        return Transport(""), protocol()


class DiallerTests(ClockLoopCase):
    def setUp(self) -> None:
        super().setUp()
        self.network = FakeNetwork()

    def dial(self, dialler: ProgramDialler) -> str:
        async def dial() -> Any:
            return await dialler.dial(self.network, lambda: "made")  # type: ignore[arg-type, return-value]

        return str(self.run_until(dial()))

    def test_a_name_is_looked_up_once(self) -> None:
        """The address that answered is dialled, until it refuses."""
        dialler = ProgramDialler(parse_program_address("http://localhost:3000"))
        self.assertEqual([self.dial(dialler) for _ in range(2)], ["made", "made"])
        self.assertEqual(self.network.dialled, ["localhost", "127.0.0.1"])
        self.network.up = {"::1"}
        self.dial(dialler)
        self.dial(dialler)
        self.assertEqual(self.network.dialled[2:], ["127.0.0.1", "localhost", "::1"])

    def test_an_address(self) -> None:
        dialler = ProgramDialler(parse_program_address("http://127.0.0.1:3000"))
        self.dial(dialler)
        self.network.up = set()
        self.assertRaises(ConnectionRefusedError, self.dial, dialler)
        self.assertEqual(self.network.dialled, ["127.0.0.1", "127.0.0.1"])

    def test_an_address_with_a_scope(self) -> None:
        """Its text is no address to dial without it."""
        self.network.names["link"] = ["fe80::1%eth0"]
        self.network.up = {"fe80::1"}
        dialler = ProgramDialler(parse_program_address("http://link:3000"))
        self.dial(dialler)
        self.dial(dialler)
        self.assertEqual(self.network.dialled, ["link", "link"])

    def test_a_connection_with_itself(self) -> None:
        """Of a port that nobody listens on: it is reset, or the program could not have it."""
        self.network.up = {"127.0.0.9"}
        dialler = ProgramDialler(parse_program_address("http://127.0.0.9:40000"))
        self.assertRaises(ConnectionRefusedError, self.dial, dialler)
        self.assertTrue(self.network.last.aborted)
        self.assertEqual(self.network.last.options, [(1, 13, b"\1\0\0\0\0\0\0\0")])

    def test_unix(self) -> None:
        for abstract in (False, True):
            listener = UnixListener(self, abstract)
            text = "unix:" + listener.path.replace("\0", "@")
            self.dial(ProgramDialler(parse_program_address(text)))
            self.assertTrue(listener.accept())
        self.assertEqual(self.network.dialled, ["unix"] * 2)

    def test_its_backlog_is_full(self) -> None:
        """Somebody is there, who accepts none in time."""
        listener = UnixListener(self)
        listener.fill()
        dialler = ProgramDialler(parse_program_address(f"unix:{listener.path}"), 3)
        with self.assertRaises(OSError) as raised:
            self.dial(dialler)
        self.assertIn("no answer within 3 s", str(raised.exception))
        self.assertEqual(self.network.dialled, [])

    def test_it_takes_too_long(self) -> None:
        dialler = ProgramDialler(parse_program_address("http://silent:1"), 3)
        with self.assertRaises(OSError) as raised:
            self.dial(dialler)
        self.assertIn("no answer within 3 s", str(raised.exception))
