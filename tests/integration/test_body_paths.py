"""
Bodies over data connections, on the compiled path and on the Python path: the same for all to see.

A guest of which each step is said plays the same with both, on real sockets: what clients get, what
the guest is told, and the access log, must be the same, whatever goes wrong in the middle of a
body. On both reactors.
"""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import time
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from tests.integration.body_guest import DataLine, ScriptedGuest
from tests.integration.harness import World, wait_until

SIZE = 120_000
HALF = SIZE // 2
"""Bytes; sockets are made to hold all of a body, so that one end can act after the other."""
BODY = bytes(range(250)) * (SIZE // 250)
GET = b"GET /%b HTTP/1.1\r\nHost: a.example\r\n%b\r\n"
PUT = b"PUT /%b HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n"
CHANGES = (
    (rb"(?i)date: [^\r]*", b"date"),
    (rb"[0-9a-f]{16}-[0-9a-f]{8}", b"id"),
)


skip = unavailable()


class Play:
    """One proxy with one guest, and what came of what was played."""

    ahead = False

    def __init__(self, world: World) -> None:
        self.port = world.port
        self.path = f"{world.vsock}_12345"
        self.seen: list[object] = []
        self.requests = 0  # that the guest was asked
        self.guest = ScriptedGuest(self.path, ahead=self.ahead)
        self.line: DataLine | None = None
        self.client = self.connect()

    def connect(self) -> socket.socket:
        """Another client."""
        client = socket.socket()
        for each in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            client.setsockopt(socket.SOL_SOCKET, each, 2 * SIZE)
        client.settimeout(20)
        client.connect(("127.0.0.1", self.port))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client = client
        return client

    def ask(self, request: bytes) -> m.Request:
        """The client asks; what the guest is asked, of which the token is taken out."""
        self.client.sendall(request)
        return self.asked()

    def asked(self) -> m.Request:
        """What the guest is asked."""
        found = self.guest.take(m.Request)
        self.requests += 1
        body = found.body
        shown = (
            {key: value for key, value in body.items() if key != b"token"}
            if isinstance(body, dict)
            else body
        )
        self.seen.append((found.method, found.target, found.headers[:2], shown))
        return found

    def answer(self, number: int, length: int | None = SIZE) -> bytes:
        """The guest answers with a body over a data connection: the token for it."""
        body = {} if length is None else {b"length": length}
        self.guest.say(m.Response(number, 200, [(b"X-A", b"b")], {}, body))
        return self.guest.take(m.Connect).token

    def hello(self, number: int) -> None:
        """The guest answers at once."""
        self.guest.say(m.Response(number, 200, [], {}, b"hello"))

    def claim(self, number: int, token: bytes) -> DataLine:
        """Claim a body on the connection that is kept, made at the first time."""
        first = self.line is None
        if self.line is None:
            self.line = DataLine(self.path)
        self.line.claim(number, token, first)
        return self.line

    def warm(self) -> None:
        """One body each way: the connection is kept, and idle."""
        for _ in range(2):
            request = self.ask(GET % (b"warm", b""))
            line = self.claim(request.exchange, self.answer(request.exchange))
            line.socket.sendall(BODY)
            assert line.frame() == m.End(request.exchange)
            self.guest.end(request.exchange, SIZE)
            self.got()
        self.upload()
        self.hello(self.guest.wire.last)
        self.got()
        self.seen.clear()

    def upload(self, size: int = SIZE) -> DataLine:
        """The client sends a body, and the guest reads it."""
        request = self.ask(PUT % (b"up", size) + BODY[:size])
        assert isinstance(request.body, dict)
        line = self.claim(request.exchange, request.body[b"token"])
        assert line.read(size) == BODY[:size]
        self.seen.append(self.guest.take(m.End).info)
        return line

    def got(self, size: int | None = None) -> None:
        """See what the client gets: a whole answer, or so many bytes, or all until it is closed."""
        data = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while True:
                head, blank, _ = bytes(data[:2000]).partition(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                if blank and length and len(data) - len(head) - 4 >= int(length[1]):
                    break
                if size is not None and len(data) >= size:
                    data = bytearray()
                    break
                piece = self.client.recv(65536)
                if not piece:
                    data += b"<closed>"
                    break
                data += piece
        result = bytes(data)
        for pattern, text in CHANGES:
            result = re.sub(pattern, text, result)
        self.seen.append(result)

    def got_all(self, answers: int) -> None:
        """See what the client gets: so many answers, the last of them "hello"."""
        data = b""
        while data.count(b"HTTP/1.1 200") < answers or not data.endswith(b"hello"):
            data += self.client.recv(65536)
        for pattern, text in CHANGES:
            data = re.sub(pattern, text, data)
        self.seen.append(data)

    def settle(self) -> None:
        """Let the proxy hear of what was done: it answers somebody else in between."""
        client, self.client = self.client, self.connect()
        self.hello(self.ask(GET % (b"settle", b"")).exchange)
        self.got()
        self.client.close()
        self.client = client

    def close(self) -> None:
        """All leave."""
        self.client.close()
        self.guest.close()
        if self.line is not None:
            self.line.socket.close()


def whole(play: Play) -> None:
    """Bodies both ways, one after the other, the end before the body or behind it."""
    for early in (False, True, False):
        request = play.ask(GET % (b"down", b""))
        token = play.answer(request.exchange)
        if early:
            play.guest.end(request.exchange, None)
        line = play.claim(request.exchange, token)
        line.socket.sendall(BODY[:HALF])
        line.socket.sendall(BODY[HALF:])
        play.seen.append(line.frame())
        if not early:
            play.guest.end(request.exchange, SIZE)
        play.got()
        play.upload()
        play.hello(play.guest.wire.last)
        play.got()


def kinds(play: Play) -> None:
    """What is not plain: HEAD, too short, of unknown length, trailers, a reason, close."""
    request = play.ask(GET.replace(b"GET", b"HEAD") % (b"head", b""))
    play.guest.say(m.Response(request.exchange, 200, [], {}, {b"length": SIZE}))
    play.seen.append(play.guest.take(m.Abort))
    play.client.close()
    play.connect()
    for length, size in ((1000, 1000), (None, SIZE), (SIZE, SIZE)):
        request = play.ask(GET % (b"kind", b""))
        line = play.claim(request.exchange, play.answer(request.exchange, length))
        line.socket.sendall(BODY[:size])
        if length is None:
            play.line = None
        else:
            play.seen.append(line.frame())
        play.guest.end(request.exchange, size, [(b"a", b"b")])
        play.got(len(BODY) if length is None else None)
        if length is None:
            play.client.close()
            play.connect()
    request = play.ask(GET % (b"last", b"Connection: close\r\n"))
    play.guest.say(
        m.Response(request.exchange, 404, [], {b"reason": b"Nowhere"}, {b"length": SIZE})
    )
    line = play.claim(request.exchange, play.guest.take(m.Connect).token)
    line.socket.sendall(BODY)
    play.guest.end(request.exchange, SIZE)
    play.got()
    play.got()


def wrong_length(play: Play) -> None:
    """Content-Length, the body and its end disagree."""
    request = play.ask(GET % (b"a", b""))
    play.guest.say(
        m.Response(request.exchange, 200, [(b"Content-Length", b"5")], {}, {b"length": SIZE})
    )
    play.seen.append(play.guest.take(m.Abort).code)
    play.got()
    request = play.ask(GET % (b"b", b""))
    play.claim(request.exchange, play.answer(request.exchange))
    play.settle()
    play.guest.end(request.exchange, SIZE - 1)
    play.got()


def truncated(play: Play) -> None:
    """The data connection ends in the middle of a body."""
    request = play.ask(GET % (b"down", b""))
    line = play.claim(request.exchange, play.answer(request.exchange))
    line.socket.sendall(BODY[:-1])
    line.socket.close()
    play.seen.append(play.guest.take(m.Abort).code)
    play.got()


def given_up(play: Play) -> None:
    """The guest aborts: before a claim, and in the middle of a body."""
    request = play.ask(GET % (b"down", b""))
    play.answer(request.exchange)
    play.guest.say(m.Abort(request.exchange, b"error", b"no more"))
    play.got()
    play.connect()
    request = play.ask(GET % (b"down", b""))
    line = play.claim(request.exchange, play.answer(request.exchange))
    line.socket.sendall(BODY[:HALF])
    play.settle()
    play.guest.say(m.Abort(request.exchange, b"error", b"no more"))
    play.got()
    play.seen.append(line.frame())


def the_other_way(play: Play) -> None:
    """The guest does not dial: its body comes in frames, and it asks for one in frames."""
    request = play.ask(GET % (b"down", b""))
    play.answer(request.exchange, 50_000)
    play.guest.wire.write_body(request.exchange, BODY[:50_000])
    play.guest.end(request.exchange, None)
    play.got()
    request = play.ask(PUT % (b"up", SIZE) + BODY)
    received = b""
    while len(received) < SIZE:
        play.guest.wire.consumed(request.exchange, 65536)
        play.guest.flush()
        play.guest.socket.sendall(m.Credit(request.exchange, 65536).encode())
        received += play.guest.take(m.Body).data
    play.seen.append(received == BODY)
    play.guest.take(m.End)
    play.hello(request.exchange)
    play.got()


def client_leaves(play: Play) -> None:
    """In the middle of a body, in each direction, and before anything is claimed."""
    request = play.ask(GET % (b"down", b""))
    line = play.claim(request.exchange, play.answer(request.exchange))
    line.socket.sendall(BODY[:HALF])
    play.got(HALF)
    play.client.close()
    line.socket.settimeout(20)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while True:
            line.socket.sendall(BODY)
    play.seen.append(play.guest.take(m.Abort).code)
    play.line = None
    play.connect()
    request = play.ask(PUT % (b"up", SIZE) + BODY[:HALF])
    assert isinstance(request.body, dict)
    line = play.claim(request.exchange, request.body[b"token"])
    line.read(HALF)
    play.client.close()
    play.seen.append(play.guest.take(m.Abort).code)
    play.connect()
    request = play.ask(PUT % (b"up", SIZE) + BODY[:HALF])
    play.client.close()
    play.seen.append(play.guest.take(m.Abort).code)


def half_closed(play: Play) -> None:
    """The client sends its request, closes its half, and gets all of the answer."""
    request = play.ask(GET % (b"down", b""))
    play.client.shutdown(socket.SHUT_WR)
    play.settle()
    line = play.claim(request.exchange, play.answer(request.exchange))
    line.socket.sendall(BODY)
    play.guest.end(request.exchange, SIZE)
    play.got()


def early_answer(play: Play) -> None:
    """The guest answers before it has the body."""
    request = play.ask(PUT % (b"up", SIZE) + BODY[:HALF])
    assert isinstance(request.body, dict)
    line = play.claim(request.exchange, request.body[b"token"])
    line.read(HALF)
    play.hello(request.exchange)
    play.got()


def upload_broken(play: Play) -> None:
    """The guest closes the data connection of an upload, and then answers."""
    request = play.ask(PUT % (b"up", SIZE) + BODY[:HALF])
    assert isinstance(request.body, dict)
    line = play.claim(request.exchange, request.body[b"token"])
    line.read(HALF)
    line.socket.close()
    play.line = None
    play.settle()
    play.hello(request.exchange)
    play.got()


def pipelined(play: Play) -> None:
    """What comes behind a request with a body, or while one is answered, is the next one."""
    play.client.sendall(GET % (b"one", b"") + PUT % (b"two", SIZE) + BODY + GET % (b"three", b""))
    request = play.asked()
    line = play.claim(request.exchange, play.answer(request.exchange))
    line.socket.sendall(BODY)
    play.seen.append(line.frame())
    play.guest.end(request.exchange, SIZE)
    request = play.asked()
    assert isinstance(request.body, dict)
    line = play.claim(request.exchange, request.body[b"token"])
    play.seen.append(line.read(SIZE) == BODY)
    play.guest.take(m.End)
    play.hello(request.exchange)
    play.hello(play.asked().exchange)
    play.got_all(3)


def slow_reader(play: Play) -> None:
    """The client takes nothing for two sweeps of the deadlines, and then all."""
    request = play.ask(GET % (b"down", b""))
    large = 40 * SIZE
    play.guest.say(m.Response(request.exchange, 200, [], {}, {b"length": large}))
    line = play.claim(request.exchange, play.guest.take(m.Connect).token)
    line.socket.setblocking(False)
    at, until = 0, time.monotonic() + 1.3
    data = BODY * 40
    while time.monotonic() < until:
        try:
            at += line.socket.send(data[at : at + SIZE])
        except BlockingIOError:
            time.sleep(0.05)
    play.seen.append(at < large)
    line.socket.settimeout(20)
    taken = bytearray()
    while at < large:
        taken += play.client.recv(1_000_000)
        line.socket.settimeout(0.01)
        with contextlib.suppress(TimeoutError):
            at += line.socket.send(data[at : at + SIZE])
    play.guest.end(request.exchange, large)
    body = bytes(taken).partition(b"\r\n\r\n")[2]
    while len(body) < large:
        body += play.client.recv(1_000_000)
    play.seen.append(body == data)


def guest_gone(play: Play) -> None:
    """The guest goes in the middle of an answer, whose end was said; and of an upload."""
    request = play.ask(GET % (b"down", b""))
    line = play.claim(request.exchange, play.answer(request.exchange))
    line.socket.sendall(BODY[:HALF])
    play.guest.end(request.exchange, SIZE)
    play.settle()
    play.guest.close()
    line.socket.sendall(BODY[HALF:])
    play.got()
    play.guest = ScriptedGuest(play.path)
    play.connect()
    play.ask(PUT % (b"up", SIZE) + BODY[:HALF])
    play.guest.close()
    play.got()


SCENES: tuple[Callable[[Play], None], ...] = (
    *(whole, kinds, wrong_length, truncated, given_up, the_other_way, client_leaves),
    *(half_closed, early_answer, upload_broken, pipelined, slow_reader, guest_gone),
)


class BodyPathTests(SynchronousTestCase):
    """On the reactor of io_uring."""

    reactor = "io_uring"
    play: type[Play] = Play
    scenes = SCENES

    def played(self, scene: Callable[[Play], None], *options: str) -> list[object]:
        """What is seen of C{scene}, the log included."""
        world = self.worlds[options]
        log = world.folder / "access.log"
        before = log.read_bytes().count(b"\n") if log.exists() else 0
        proxy = world.proxy
        assert proxy is not None
        play = self.play(world)
        try:
            play.warm()
            scene(play)
        finally:
            play.close()

        def written() -> bool:
            # It writes what it holds, and opens its file again.
            proxy.signal(signal.SIGUSR1)
            return log.read_bytes().count(b"\n") - before >= play.requests

        wait_until(written, "a line of the log for each request")
        lines = log.read_text().splitlines()[before:]
        return [
            *play.seen,
            # How much a client took that left is a matter of time.
            *(
                re.sub(
                    r" 200 \d+ (.*client-gone)|\[.*?\]|[0-9a-f]{16}-\w+|\d+\.\d{3}|path:\S+",
                    "",
                    each,
                )
                for each in lines
            ),
        ]

    def setUp(self) -> None:
        self.worlds: dict[tuple[str, ...], World] = {}
        for options in ((), ("--no-fastpath",)):
            world = self.worlds[options] = World()
            self.addCleanup(world.close)
            world.start_proxy(
                f"--access-log={world.folder / 'access.log'}",
                "--hold=0",
                *options,
                twistd=(f"--reactor={self.reactor}",),
            ).wait_for("guests on")

    def test_the_same_is_seen(self) -> None:
        """Scene by scene."""
        for scene in self.scenes:
            fast, slow = (self.played(scene, *options) for options in ((), ("--no-fastpath",)))
            for here, there in zip(fast, slow, strict=False):
                if isinstance(here, bytes) and isinstance(there, bytes) and here != there:
                    at = next(
                        (
                            i
                            for i, pair in enumerate(zip(here, there, strict=False))
                            if pair[0] != pair[1]
                        ),
                        min(len(here), len(there)),
                    )
                    here, there = (
                        (len(here), here[at - 300 : at + 100]),
                        (len(there), there[at - 300 : at + 100]),
                    )
                self.assertEqual(here, there, scene.__name__)
            self.assertEqual(len(fast), len(slow), scene.__name__)
        for world in self.worlds.values():
            assert world.proxy is not None
            self.assertNotIn("Traceback", world.proxy.output)


class BodyPathCompiledEpollTests(BodyPathTests):
    """On the compiled reactor on epoll."""

    reactor = "compiled_epoll"


class BodyPathEpollTests(BodyPathTests):
    """On Twisted's epoll reactor."""

    reactor = "epoll"
