"""
Tests of subproxy.fastpath._http2_connection and _collected_data: request bodies, however they come.

As in test_http2_differential, one conversation is played to both paths.
"""

from __future__ import annotations

import itertools
import random

from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from tests.rigs.examples import examples
from tests.rigs.http2_client import POST
from tests.rigs.http2_sides import Http2PairCase, Http2Side


class Http2UploadTests(Http2PairCase):
    skip = unavailable()

    def test_uploads(self) -> None:
        """A small body costs no Python, whether its length is told, or it comes with its head."""
        sides = self.pair()
        for side in sides:
            said = (b"content-length", b"10")
            side.client.request(1, [*POST, said], ended=False)
            side.say(side.client.take())
            side.client.h2.send_data(1, b"hello")
            side.say(side.client.take())
            self.assertEqual(side.asked, [])
            side.client.h2.send_data(1, b"world", end_stream=True)
            side.client.request(3, POST, ended=False)
            side.client.h2.send_data(3, b"unknown", end_stream=True)
            side.client.request(5, [*POST, (b"content-length", b"0")], ended=False)
            side.client.h2.send_data(5, b"", end_stream=True)
            side.say(side.client.take())
            self.assertEqual([each.body for each in side.asked], [b"helloworld", b"unknown", b""])
            self.assertIn([b"Content-Length", b"10"], [list(p) for p in side.asked[0].headers])
            side.answer(*(m.Response(each, 200, [], {}, b"fine") for each in (1, 2, 3)))
        self.same(sides, "uploads")
        self.assertEqual(sides[0].fastpath.stats()["requests"], 3)
        self.assertEqual(sides[0].fastpath.stats()["declined_requests"], 0)

    def test_uploads_that_are_not_plain(self) -> None:
        """What was gathered goes on in Python."""
        for after in (
            lambda h2: h2.send_data(1, b"x" * 6, end_stream=True),  # too long
            lambda h2: h2.send_data(1, b"x", end_stream=True),  # too short
            lambda h2: h2.send_data(1, b"x" * 5, end_stream=True, pad_length=3),
            lambda h2: h2.send_headers(1, [(b"x-sum", b"1")], end_stream=True),
            lambda h2: h2.reset_stream(1),
            lambda h2: h2.send_data(1, b""),
            lambda h2: None,
        ):
            sides = self.pair()
            for side in sides:
                fields = [*POST, (b"content-length", b"10"), (b"cookie", b"a"), (b"cookie", b"b")]
                side.client.request(1, fields, ended=False)
                side.client.h2.send_data(1, b"hello")
                side.say(side.client.take())
                after(side.client.h2)
                side.say(side.client.take())
                for _ in range(100):
                    side.world.advance(0.6)
                    side.turn()
            self.same(sides, after)

    def test_the_window_of_uploads(self) -> None:
        """It opens as bodies are taken, also where nothing but bodies comes."""
        sides = self.pair()
        for side in sides:
            number = 1
            for _ in range(40):
                size = b"60000"
                side.client.request(number, [*POST, (b"content-length", size)], ended=False)
                for part in range(4):
                    side.client.h2.send_data(number, b"x" * 15000, end_stream=part == 3)
                side.say(side.client.take())
                side.answer(m.Response(side.asked.pop().exchange, 204, [], {}, b""))
                number += 2
        self.same(sides, "windows")
        self.assertEqual(sides[0].fastpath.stats()["requests"], 40)

    def test_uploads_in_pieces(self) -> None:
        """However a turn cuts a body, into frames and into reads, the guest gets it as it was."""
        chosen = random.Random(1)
        body = chosen.randbytes(700_000)
        ends = []
        for _ in range(examples(12)):
            sides = self.pair()
            reads = [chosen.choice([1, 9, 700, 17_000, 40_000, 300_000]) for _ in range(40)]
            frames = [chosen.choice([1, 900, 16_384]) for _ in range(40)]
            for side in sides:
                size = str(len(body)).encode()
                side.client.request(1, [*POST, (b"content-length", size)], ended=False)
                side.say(side.client.take())
                self.upload(side, body, frames, reads)
                ends.append(b"".join(e.data for e in side.sent[1] if isinstance(e, m.Body)) == body)
                side.answer(m.Response(1, 204, [], {}, b""))
            self.same(sides, (frames, reads))
        self.assertEqual(set(ends), {True})

    def upload(self, side: Http2Side, body: bytes, frames: list[int], reads: list[int]) -> None:
        """Send C{body} as the windows open: in frames and in reads of those sizes, in turn."""
        h2, at, sizes, cuts = side.client.h2, 0, itertools.cycle(frames), itertools.cycle(reads)
        while at < len(body):
            side.answer(m.Credit(1, 200_000))
            while at < len(body) and (room := h2.local_flow_control_window(1)):
                size = min(next(sizes), room, len(body) - at)
                h2.send_data(1, body[at : at + size], end_stream=at + size == len(body))
                at += size
            data = side.client.take()
            while data:
                cut = next(cuts)
                side.protocol.dataReceived(data[:cut])
                data = data[cut:]
            side.turn()
