"""
Tests of subproxy.fastpath._http2_connection: what it does is what the Python path does.

One conversation is played to both. Frames of different streams may stand in another order; what
each stream was told, what the guest was sent, the log and the counts are the same.
"""

from __future__ import annotations

import random

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from subproxy.fastpath.install import unavailable
from subproxy.frontend.http2.frames import FrameType, write_frame
from subproxy.wire import messages as m
from tests.rigs.examples import examples
from tests.rigs.http2_client import GET, POST, Headers, Http2Client
from tests.rigs.http2_sides import Http2PairCase, Http2Side

NAMES = [
    (b"user-agent", b"test"),
    (b"accept", b"*/*"),
    (b"x-forwarded-for", b"9.9.9.9"),
    (b"x-other", b"v"),
    (b"referer", b"http://r.example/"),
    (b"te", b"trailers"),
    (b"te", b"gzip"),
    (b"cookie", b"a=b"),
    (b"cookie", b"c=d"),
    (b"cookie", b""),
    (b"host", b"a.example"),
    (b"host", b"b.example"),
    (b"connection", b"close"),
    (b"content-length", b"0"),
    (b"content-length", b"5"),
    (b"expect", b"100-continue"),
    (b"priority", b"u=1, i"),
    (b"x", b"a\r\nb: c"),
    (b"x", b"a\nb"),
    (b"x", b"a\0b"),
    (b"x", b" a"),
    (b"x", b""),
    (b"X-Upper", b"v"),
    (b"a b", b"v"),
    (b"a:b", b"v"),
    (b"", b"v"),
    (b":path", b"/late"),
    (b"under_score", b"v"),
    (b"x_forwarded_for", b"v"),
    (b"x-request-id", b"mine"),
    (b"max-forwards", b"3"),
    (b"upgrade", b"h2c"),
    (b"keep-alive", b"1"),
]

PSEUDO = {
    b":method": [
        b"GET",
        b"GET",
        b"GET",
        b"HEAD",
        b"POST",
        b"OPTIONS",
        b"TRACE",
        b"BREW",
        b"G T",
        b"",
    ],
    b":scheme": [b"http", b"http", b"http", b"https", b"ftp", b""],
    b":path": [
        *(b"/", b"/a?b=c", b"/x/../y", b"//x", b"/%2e", b"/a b", b"/a\r\nX: y", b"*", b"x", b""),
        *(b"/" + b"l" * 200, b"/" + b"l" * 9000, b"/#f", b"/\\", b"/\x80"),
    ],
    b":authority": [
        *(b"a.example", b"a.example", b"b.example:80", b"A.EXAMPLE.", b"nobody.example", b""),
        *(b"u@a.example", b"a.example/x", b"a b", b"[::1]", b"a.example\r\nX: y", b"a_b.example"),
    ],
}


def request(chosen: random.Random) -> Headers:
    """A request; one in three is as it should be."""
    if chosen.random() < 0.35:
        return [*GET, *NAMES[:2]]
    fields = [
        (name, chosen.choice(values) if chosen.random() < 0.3 else values[0])
        for name, values in PSEUDO.items()
        if chosen.random() < 0.97
    ]
    if chosen.random() < 0.05:
        fields.append(chosen.choice(fields or GET))
    for _ in range(chosen.randrange(5)):
        fields.append(chosen.choice(NAMES))
    return fields


def upload(client: Http2Client, chosen: random.Random, number: int) -> None:
    """A request with a body; it may be longer or shorter than it says, or never end."""
    sizes = [chosen.choice([1, 5, 3000, 16384]) for _ in range(chosen.randrange(4))]
    total = sum(sizes)
    said = chosen.choice([None, total, total, total, total + 1, max(0, total - 1), 70_000])
    fields = [*POST, *NAMES[: chosen.randrange(3)]]
    if said is not None:
        fields.append((b"content-length", b"%d" % said))
    if chosen.random() < 0.2:
        fields.append(chosen.choice(NAMES))
    client.request(number, fields, ended=False)
    for size in sizes:
        padding = 7 if chosen.random() < 0.1 else None
        client.h2.send_data(number, b"x" * size, pad_length=padding)
    end = chosen.random()
    if end < 0.75:
        client.h2.send_data(number, b"y" * chosen.choice([0, 0, 5]), end_stream=True)
    elif end < 0.85:
        client.h2.send_headers(number, [(b"x-sum", b"1")], end_stream=True)
    elif end < 0.9:
        client.h2.reset_stream(number)


def response(chosen: random.Random, number: int) -> list[m.Message]:
    """What a guest says to a request."""
    status = chosen.choice([200, 200, 200, 204, 205, 304, 404, 500])
    fields = [(b"Content-Type", b"text/plain"), (b"Set-Cookie", b"s=1")][: chosen.randrange(3)]
    if chosen.random() < 0.1:
        fields.append((b"Date", b"then"))
    if chosen.random() < 0.1:
        fields.append((b"Connection", b"x"))
    body = b"b" * chosen.choice([0, 5, 5, 5, 20000, 60000])
    if chosen.random() < 0.15:
        body = body[:60000]
        return [
            m.Response(number, status, fields, {}, None),
            *([m.Body(number, body)] if body else []),
            m.End(number, [(b"X-Trailer", b"t")][: chosen.randrange(2)]),
        ]
    if chosen.random() < 0.1:
        fields.append((b"Content-Length", chosen.choice([b"%d" % len(body), b"7"])))
    return [m.Response(number, status, fields, {}, body)]


class Http2ConversationTests(Http2PairCase):
    skip = unavailable()

    def test_plain(self) -> None:
        """A request that costs no Python, and one that does, are answered alike."""
        sides = self.pair()
        for side in sides:
            side.client.request(1, [*GET, (b"cookie", b"a=b"), (b"cookie", b"c=d")])
            side.client.request(3, [(b":method", b"HEAD"), *GET[1:]])
            side.say(side.client.take())
            self.assertEqual([each.method for each in side.asked], [b"GET", b"HEAD"])
            self.assertIn([b"cookie", b"a=b; c=d"], [list(p) for p in side.asked[0].headers])
            self.assertEqual(side.asked[0].info[b"version"], b"2")
            side.answer(m.Response(1, 200, [(b"Content-Type", b"text/plain")], {}, b"hello"))
            side.answer(m.Response(2, 200, [(b"Content-Length", b"5")], {}, b""))
        seen = self.same(sides, "plain")
        self.assertEqual(sides[0].fastpath.stats()["requests"], 2)
        self.assertEqual(sides[0].client.bodies[1], b"hello")
        self.assertEqual(sides[0].client.head(3)[b"content-length"], b"5")
        lines = seen["log"]
        assert isinstance(lines, tuple)
        self.assertEqual(lines[0].count(b' HTTP/2"'), 2)

    def play(self, seed: int) -> None:
        """One random conversation."""
        chosen = random.Random(seed)
        trust = chosen.choice([[], ["192.0.2.7"]])
        style = chosen.choice(["combined", "json"])
        sides = self.pair(trust=trust, style=style)
        number = 1
        for step in range(chosen.randrange(1, 12)):
            what = chosen.randrange(10)
            again = chosen.getrandbits(32)
            for side in sides:
                one = random.Random(again)
                self.act(side, one, what, number)
            number += 8
            self.same(sides, (seed, step, what))

    def act(self, side: Http2Side, chosen: random.Random, what: int, number: int) -> None:
        """One step, on one side."""
        client = side.client
        try:
            if what < 5:
                for each in range(chosen.randrange(1, 4)):
                    client.request(number + 2 * each, request(chosen))
            elif what == 5:
                for each in range(chosen.randrange(1, 4)):
                    upload(client, chosen, number + 2 * each)
            elif what == 6 and side.asked:
                client.h2.reset_stream(chosen.choice([number - 8, number - 6]))
            elif what == 7:
                client.h2.increment_flow_control_window(10)
            elif what == 8:
                client.h2.ping(b"12345678")
            elif what == 9:
                side.world.advance(0.6)
        except Exception:  # h2 knows that the stream is over
            client.take()
        data = client.take()
        while data:
            cut = chosen.randrange(len(data) + 1) if chosen.random() < 0.4 else len(data)
            side.say(data[:cut])
            data = data[cut:]
        while side.asked and chosen.random() < 0.7:
            asked = side.asked.pop(chosen.randrange(len(side.asked)))
            if asked.exchange not in side.aborted:
                if asked.body is None and chosen.random() < 0.8:
                    side.answer(m.Credit(asked.exchange, chosen.choice([100, 100_000])))
                side.answer(*response(chosen, asked.exchange))

    def test_any_conversation(self) -> None:
        """Requests good and bad, resets, windows and answers, as they come."""
        for seed in range(examples(150)):
            self.play(seed)

    def test_trailers_are_taken(self) -> None:
        """The guest hears of it, from either path."""
        sides = self.pair()
        for side in sides:
            side.client.request(1, [*GET, (b"te", b"trailers")])
            side.client.request(3, [*GET, (b"te", b"Trailers"), (b"max-forwards", b"1")])
            side.client.request(5, [*GET, (b"te", b"gzip")])
            side.client.request(7)
            side.say(side.client.take())
            self.assertEqual(
                [each.info.get(b"trailers") for each in side.asked], [True, True, None]
            )
        self.same(sides, "trailers")
        self.assertEqual(sides[0].fastpath.stats()["declined_requests"], 2)

    def fill_window(self, side: Http2Side) -> None:
        """Two answers, of which the connection's window lets the second come in part."""
        side.client.window = False
        side.client.request(1)
        side.client.request(3)
        side.say(side.client.take())
        side.answer(m.Response(1, 200, [], {}, b"a" * 60000))
        side.answer(m.Response(2, 200, [], {}, b"b" * 60000))
        self.assertEqual(len(side.client.bodies[3]), 5535)

    def test_small_windows(self) -> None:
        """An answer larger than the windows of its stream goes on in Python when they open."""
        sides = self.pair()
        for side in sides:
            self.fill_window(side)
            side.client.h2.increment_flow_control_window(100_000)
            side.say(side.client.take())
            self.assertEqual(side.client.bodies[3], b"b" * 60000)
        self.same(sides, "windows")

    def test_windows_that_shrink(self) -> None:
        """SETTINGS may close the window of a stream that waits for that of its connection."""
        settings = (FrameType.SETTINGS, 0, 0)
        for size in (0, 1000, 5535):
            sides = self.pair()
            for side in sides:
                self.fill_window(side)
                side.say(write_frame(*settings, b"\0\4" + size.to_bytes(4, "big")))
                side.client.h2.increment_flow_control_window(100_000)
                side.say(side.client.take())
                self.assertEqual(len(side.client.bodies[3]), 5535)
                side.say(write_frame(*settings, b"\0\4" + (60_000).to_bytes(4, "big")))
                self.assertEqual(side.client.bodies[3], b"b" * 60000)
            self.same(sides, size)

    def test_reset_of_a_plain_one(self) -> None:
        """The guest hears of it, and the log."""
        sides = self.pair()
        for side in sides:
            side.client.request(1)
            side.say(side.client.take())
            side.client.h2.reset_stream(1)
            side.say(side.client.take())
        seen = self.same(sides, "reset")
        self.assertIn(b" 499 0 ", seen["log"][0])  # type: ignore[index]

    def test_the_client_leaves(self) -> None:
        """All that it has asked for ends."""
        sides = self.pair()
        for side in sides:
            side.client.request(1)
            side.client.request(3, [*POST, (b"content-length", b"70000")], ended=False)
            side.say(side.client.take())
            side.gone = True
            side.protocol.connectionLost(Failure(ConnectionDone()))
            side.world.advance(0)
        self.same(sides, "lost")

    def test_drain(self) -> None:
        """What is under way is answered; then the client is told which was the last."""
        sides = self.pair()
        for side in sides:
            side.client.request(1)
            side.say(side.client.take())
            done: list[None] = []
            side.factory.drain().addCallback(done.append)
            side.turn()
            side.answer(m.Response(1, 200, [], {}, b"late"))
            for _ in range(5):
                side.world.advance(0.5)
                side.turn()
            self.assertEqual(side.client.bodies[1], b"late")
            self.assertEqual(
                [what for what in side.client.told[0] if what[0] == "goaway"],
                [("goaway", 0, 0x7FFFFFFF), ("goaway", 0, 1)],
            )
        self.same(sides, "drain")

    def test_frames_that_are_wrong(self) -> None:
        """The connection ends alike."""
        for frame in (
            write_frame(FrameType.WINDOW_UPDATE, 0, 0, bytes(4)),
            write_frame(FrameType.WINDOW_UPDATE, 0, 9, b"\0\0\0\1"),
            write_frame(FrameType.HEADERS, 5, 2, b"\x82"),
            write_frame(FrameType.HEADERS, 5, 1, b"\x80"),
            write_frame(FrameType.HEADERS, 5, 1, b"\x3f\xff\xff\xff\xff\xff\xff"),
            write_frame(FrameType.DATA, 0, 1, b"x"),
            write_frame(FrameType.PING, 0, 0, b"short"),
            b"\xff\xff\xff" + bytes(6),
        ):
            sides = self.pair()
            for side in sides:
                side.say(frame)
            self.same(sides, frame)

    def test_answers_before_a_wrong_frame(self) -> None:
        """They are sent, whether it is in their turn (a share of frames) or in a later one."""
        wrong = write_frame(FrameType.PING, 0, 9, b"")
        for between in range(6):
            sides = self.pair()
            for side in sides:
                side.client.request(1)
                side.client.request(3, [*GET[:3], (b":authority", b"a b")])
                pings = write_frame(FrameType.PING, 0, 0, b"12345678") * between
                side.say(side.client.take() + pings + wrong)
                self.assertEqual(side.client.status(3), b"400")
            self.same(sides, between)
