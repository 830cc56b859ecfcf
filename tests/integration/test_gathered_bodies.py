"""
Bodies that ride in their frames and come in pieces: gathered by compiled code, and by Python.

A part of such a body may be received where it is gathered. However it comes, the guest gets it
whole, and what comes behind it is the next request.
"""

from __future__ import annotations

import random
import socket

from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from tests.integration.gathered_case import BUFFER, CONTENT, MOST, GatheredCase

PUT = b"PUT /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n"
SWEEP = 1.2
"""Seconds after which a body that has not come is looked after by Python."""


skip = unavailable()


class GatheredBodyTests(GatheredCase):
    def taken(self, client: socket.socket, body: bytes) -> None:
        """The guest gets the body, and the client an answer."""
        request = self.guest.take(m.Request)
        self.assertTrue(request.body == body, (len(request.body or b""), len(body)))
        self.guest.say(m.Response(request.exchange, 200, [], {}, b"hello"))
        data = b""
        while not data.endswith(b"\r\n\r\nhello"):
            data += client.recv(65536)

    def test_sizes(self) -> None:
        """Around what a buffer holds, and the most; at once, and head and body apart."""
        for size in (1, BUFFER - 100, BUFFER, BUFFER + 5000, MOST - 1, MOST):
            body = CONTENT[:size]
            self.send(PUT % size + body)
            self.taken(self.client, body)
            self.send(PUT % size, body, pause=0.01)
            self.taken(self.client, body)

    def test_pieces(self) -> None:
        """Of all sizes: some are there when they are asked for, and some are not."""
        dice = random.Random(17)
        for _ in range(12):
            size = dice.randint(BUFFER, MOST)
            whole = PUT % size + CONTENT[:size]
            cuts = sorted(dice.sample(range(1, len(whole)), dice.randint(1, 5)))
            pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
            self.send(*pieces, pause=dice.choice((0.0, 0.003)))
            self.taken(self.client, CONTENT[:size])

    def test_what_comes_behind(self) -> None:
        """The next requests come with the end of a body: not a byte of them is taken for it."""
        body = CONTENT[:MOST]
        for _ in range(3):
            self.send((PUT % MOST + body) * 2 + PUT % 3 + b"abc")
            for each in (body, body, b"abc"):
                self.taken(self.client, each)

    def test_late(self) -> None:
        """A body that stalls goes on in Python, which has all that came; then it is as before."""
        body = CONTENT[:MOST]
        whole = PUT % MOST + body
        for _ in range(2):
            self.send(whole[:30_000], pause=SWEEP)
            self.send(whole[30_000:])
            self.taken(self.client, body)
            self.send(whole)
            self.taken(self.client, body)

    def test_a_client_that_leaves(self) -> None:
        """In the middle of a body: nobody is asked, and others are served."""
        for size in (100, 20_000, 50_000):
            self.send((PUT % MOST + CONTENT)[:size], pause=0.01)
            self.client.close()
            self.client = self.connect()
            self.send(PUT % 5 + b"hello")
            self.taken(self.client, b"hello")


class GatheredBodyCompiledEpollTests(GatheredBodyTests):
    """On the compiled reactor on epoll."""

    reactor = "compiled_epoll"


class GatheredBodyEpollTests(GatheredBodyTests):
    """On Twisted's epoll reactor."""

    reactor = "epoll"


class GatheredBodyPythonTests(GatheredBodyTests):
    """By the Python path, which is what the others are measured by."""

    options = ("--no-fastpath",)
