"""What docs/protocol.md decides, said to the real proxy over its socket, on both of its paths."""

from __future__ import annotations

import socket
import threading
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire.frames import FrameDecoder, encode
from tests.integration.harness import World

DEADLINE = 30.0


class RawGuest:
    """A guest that says what it is told to, and hears what is not a ping."""

    def __init__(self, path: str, instance: bytes, application: bytes = b"raw") -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(DEADLINE)
        self._socket.connect(path)
        self._decoder = FrameDecoder(262_144)
        info = {b"version": 1, b"application": application, b"instance": instance}
        self.say(b"hello", info)

    def say(self, *frame: Any) -> None:
        self._socket.sendall(encode(list(frame)))

    def hear(self) -> list[Any]:
        """The next frame; the empty list at the end."""
        while True:
            frame = self._decoder.next()
            if frame is None:
                data = self._socket.recv(65_536)
                if not data:
                    return []
                self._decoder.feed(data)
            elif frame[0] == b"ping":
                self.say(b"pong", frame[1])
            else:
                return frame

    def register(self, host: bytes) -> None:
        self.say(b"register", 1, host, b"/.*")

    def close(self) -> None:
        self._socket.close()


class Client(threading.Thread):
    """One request, beside the test."""

    def __init__(self, world: World, method: str = "GET") -> None:
        super().__init__(daemon=True)
        self._world = world
        self._method = method
        self.status = 0
        self.headers: dict[str, str] = {}
        self.start()

    def run(self) -> None:
        self.status, self.headers, _ = self._world.ask("/", "raw.example", self._method)

    def answered(self) -> int:
        """The status of its answer."""
        self.join(DEADLINE)
        return self.status


class AnswerTests(SynchronousTestCase):
    options: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        proxy = self.world.start_proxy(*self.options)
        proxy.wait_for("guests on")

    def guest(self, instance: bytes) -> RawGuest:
        guest = RawGuest(f"{self.world.vsock}_12345", instance)
        self.addCleanup(guest.close)
        return guest

    def serving(self, instance: bytes) -> RawGuest:
        guest = self.guest(instance)
        self.assertEqual(guest.hear()[0], b"welcome")
        guest.register(rb"raw\.example")
        self.assertEqual(guest.hear()[:2], [b"registered", 1])
        return guest

    def test_who_came(self) -> None:
        """The same instance, another one, and the one that was replaced."""
        first = self.serving(b"a")
        again = self.serving(b"a")
        self.assertEqual(first.hear()[:2], [b"bye", b"again"])
        self.serving(b"b")
        self.assertEqual(again.hear()[:2], [b"bye", b"replaced"])
        late = self.guest(b"a")
        self.assertEqual(late.hear()[:3], [b"refused", 0, b"replaced"])
        self.assertEqual(late.hear()[:2], [b"bye", b"refused"])

    def test_a_complete_response_that_is_wrong(self) -> None:
        """The client gets 502, the guest abort; the next exchange is fine."""
        guest = self.serving(b"a")
        client = Client(self.world)
        number = guest.hear()[1]
        guest.say(b"response", number, 200, [[b"content-length", b"7"]], {}, b"hello\n")
        self.assertEqual(guest.hear()[:3], [b"abort", number, b"protocol"])
        self.assertEqual(client.answered(), 502)
        client = Client(self.world)
        number = guest.hear()[1]
        guest.say(b"response", number, 200, [], {}, b"hello\n")
        self.assertEqual(client.answered(), 200)

    def test_refused_by_all(self) -> None:
        """Then a client may come again: also with what must not be repeated."""
        guest = self.serving(b"a")
        for method in ("GET", "POST"):
            client = Client(self.world, method)
            number = guest.hear()[1]
            guest.say(b"abort", number, b"refused", b"not now")
            self.assertEqual(client.answered(), 503)
            self.assertEqual(client.headers.get("retry-after"), "1")

    def test_hello_without_info(self) -> None:
        """No message; and one whose info is none is refused."""
        for frame, answers in (
            ([b"hello"], [[b"bye", b"message"]]),
            ([b"hello", []], [[b"refused", 0, b"hello"], [b"bye", b"refused"]]),
        ):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(DEADLINE)
                sock.connect(f"{self.world.vsock}_12345")
                sock.sendall(encode(frame))
                decoder = FrameDecoder(262_144)
                while data := sock.recv(65_536):
                    decoder.feed(data)
                    if b"3:bye" in data:
                        sock.sendall(encode([b"bye"]))
            heard = list(iter(decoder.next, None))
            self.assertEqual(
                [each[: len(a)] for each, a in zip(heard, answers, strict=True)], answers
            )


class PythonAnswerTests(AnswerTests):
    """The same, with nothing compiled in the way."""

    options = ("--no-fastpath",)
