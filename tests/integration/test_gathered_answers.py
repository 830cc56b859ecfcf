"""
Answers that ride in their frames and come in pieces.

A part of such a frame may be received where it is held. However it comes, the client gets it whole,
and what comes behind it is the next frame.
"""

from __future__ import annotations

import random
import socket

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from tests.integration.body_guest import DataLine, ScriptedGuest
from tests.integration.gathered_case import BUFFER, CONTENT, MOST, GatheredCase
from tests.integration.harness import World

GET = b"GET /%d HTTP/1.1\r\nHost: a.example\r\n\r\n"


skip = unavailable()


class GatheredAnswerTests(GatheredCase):
    def asked(self, client: socket.socket) -> int:
        """The number by which the guest knows what C{client} asks."""
        client.sendall(GET % 1)
        return self.guest.take(m.Request).exchange

    def frame(self, number: int, size: int) -> bytes:
        """The answer, of so many bytes."""
        self.guest.wire.send(m.Response(number, 200, [], {}, CONTENT[:size]))
        return self.guest.wire.data_to_send()

    def talker(self) -> socket.socket:
        return self.guest.socket

    def comes(self, client: socket.socket, size: int) -> None:
        """The client gets the answer, and nothing else."""
        data = client.recv(1 << 20)
        while b"\r\n\r\n" not in data:
            data += client.recv(1 << 20)
        head, _, body = data.partition(b"\r\n\r\n")
        self.assertIn(b"Content-Length: %d" % size, head)
        while len(body) < size:
            more = client.recv(1 << 20)
            self.assertTrue(more)
            body += more
        self.assertTrue(body == CONTENT[:size], (len(body), size))

    def test_sizes(self) -> None:
        """Around what a buffer holds, and the most; at once, and in two pieces."""
        for size in (1, BUFFER - 200, BUFFER, BUFFER + 5000, MOST - 1, MOST):
            frame = self.frame(self.asked(self.client), size)
            self.send(frame)
            self.comes(self.client, size)
            frame = self.frame(self.asked(self.client), size)
            self.send(frame[: size // 2], frame[size // 2 :], pause=0.01)
            self.comes(self.client, size)

    def test_pieces(self) -> None:
        """Of all sizes, and frames that end anywhere in them."""
        dice = random.Random(17)
        clients = [self.connect() for _ in range(4)]
        for _ in range(15):
            sizes = [dice.choice((5, 300, dice.randint(BUFFER, MOST))) for _ in clients]
            whole = b"".join(
                self.frame(self.asked(client), size)
                for client, size in zip(clients, sizes, strict=True)
            )
            cuts = sorted(dice.sample(range(1, len(whole)), dice.randint(1, 9)))
            pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
            self.send(*pieces, pause=dice.choice((0.0, 0.003)))
            for client, size in zip(clients, sizes, strict=True):
                self.comes(client, size)

    def test_what_comes_behind(self) -> None:
        """Frames of the Python path, and of nobody, behind the end and before the beginning."""
        other = self.connect()
        for _ in range(3):
            large, small = self.asked(self.client), self.asked(other)
            frame = self.frame(large, MOST)
            self.guest.wire.send(m.Register(7, b"b\\.example", b"/.*"))
            behind = self.guest.wire.data_to_send() + self.frame(small, 100)
            self.guest.wire.send(m.Unregister(7))
            behind += self.guest.wire.data_to_send()
            self.send(frame[:30_000], frame[30_000:] + behind[:9], behind[9:], pause=0.01)
            self.comes(self.client, MOST)
            self.comes(other, 100)
            self.guest.take(m.Unregistered)

    def test_a_client_that_leaves(self) -> None:
        """In the middle of its answer: the frames behind are others' all the same."""
        for size in (100, 20_000, 50_000):
            frame = self.frame(self.asked(self.client), MOST)
            self.send(frame[:size], pause=0.01)
            self.client.close()
            self.client = self.connect()
            self.send(frame[size:])
            number = self.asked(self.client)
            self.send(self.frame(number, 5))
            self.comes(self.client, 5)

    def test_a_guest_that_leaves(self) -> None:
        """In the middle of a frame: its client is told, and another guest is asked from then on."""
        for size in (100, 20_000, 50_000):
            frame = self.frame(self.asked(self.client), MOST)
            self.send(frame[:size], pause=0.01)
            self.guest.close()
            self.guest = ScriptedGuest(f"{self.world.vsock}_12345")
            self.addCleanup(self.guest.close)
            # It is asked again: nothing of that answer had gone to the client.
            self.send(self.frame(self.guest.take(m.Request).exchange, MOST))
            self.comes(self.client, MOST)


class GatheredAnswerCompiledEpollTests(GatheredAnswerTests):
    """On the compiled reactor on epoll."""

    reactor = "compiled_epoll"


class GatheredAnswerEpollTests(GatheredAnswerTests):
    """On Twisted's epoll reactor."""

    reactor = "epoll"


class GatheredAnswerPythonTests(GatheredAnswerTests):
    """By the Python path, which is what the others are measured by."""

    options = ("--no-fastpath",)


class LateEndTests(SynchronousTestCase):
    """A guest is told that its body has come before it needs the connection, or soon."""

    def test_told(self) -> None:
        """With the next token, on the same connection; and behind the last body by itself."""
        world = World()
        self.addCleanup(world.close)
        world.start_proxy("--access-log=none").wait_for("guests on")
        guest = ScriptedGuest(f"{world.vsock}_12345")
        self.addCleanup(guest.close)
        client = socket.create_connection(("127.0.0.1", world.port), 20)
        self.addCleanup(client.close)
        line = DataLine(guest.path)
        self.addCleanup(line.socket.close)
        size, last = 4 * MOST, 0
        for turn in range(12):
            client.sendall(GET % turn)
            number = guest.take(m.Request).exchange
            guest.say(m.Response(number, 200, [], {}, {b"length": size}))
            token = guest.take(m.Connect).token
            if turn:
                # What was to be told for the body before is here already.
                line.socket.settimeout(0.0)
                self.assertEqual(line.frame(), m.End(last))
                line.socket.settimeout(20)
            line.claim(number, token, first=not turn)
            line.socket.sendall(CONTENT[:MOST] * 4)
            guest.end(number, size)
            left = size
            while b"\r\n\r\n" not in (data := client.recv(1000, socket.MSG_PEEK)):
                continue
            left += data.index(b"\r\n\r\n") + 4
            while left:
                left -= len(client.recv(left))
            last = number
        self.assertEqual(line.frame(), m.End(last))
