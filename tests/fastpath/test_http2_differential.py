"""
Tests of subproxy.fastpath._http2_connection: what it does is what the Python path does.

One conversation is played to both. Frames of different streams may stand in another order; what
each stream was told, what the guest was sent, the log and the counts are the same.
"""

from __future__ import annotations

import random
import re
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.frontend.http2.frames import FrameType, write_frame
from subproxy.wire import messages as m
from subproxy.wire.frames import FrameDecoder
from tests.rigs.examples import examples
from tests.rigs.fastpath_rig import PREFIX, Side
from tests.rigs.http2_client import GET, POST, Headers, Http2Client


class Http2Side(Side):
    """A proxy with one guest, whose client speaks HTTP/2."""

    def __init__(self, fast: bool, **options: Any) -> None:
        self.fast = fast
        self.asked: list[m.Request] = []
        self.aborted: set[int] = set()
        self.frames = FrameDecoder(1 << 20)
        self.ids: dict[bytes, bytes] = {}
        super().__init__(fast, **options)

    def connect(self) -> None:
        if not self.fast:
            self.factory.buildProtocol = (  # type: ignore[method-assign]
                lambda addr: self.factory.build_http2()
            )
        self.client = Http2Client()
        self.sent: dict[int, list[m.Message]] = {}
        super().connect()
        self.say(self.client.take())

    def say(self, data: bytes) -> None:
        """The client says that, in one read; then the turn ends."""
        if data and not self.gone:
            self.protocol.dataReceived(data)
        self.turn()

    def turn(self) -> None:
        """The reactor turns: guests and clients get what was written."""
        for _ in range(3):
            self.world.advance(0)
            came = self.renamed(self.guest_transport.value())
            self.guest_transport.clear()
            self.frames.feed(came)
            while (frame := self.frames.next()) is not None:
                event = m.parse(frame)
                self.guest_told(event)
                if isinstance(event, m.Request):
                    self.asked.append(event)
                elif isinstance(event, m.Abort):
                    self.aborted.add(event.exchange)
            self.client.receive(self.renamed(self.transport.value()))
            self.transport.clear()
            more = self.client.take()
            if not more:
                break
            if not self.gone:
                self.protocol.dataReceived(more)

    def guest_told(self, event: m.Message) -> None:
        """Keep what the guest was told of each exchange, however a body was cut."""
        told = self.sent.setdefault(getattr(event, "exchange", 0), [])
        if isinstance(event, m.Body) and told and isinstance(told[-1], m.Body):
            event = m.Body(event.exchange, told.pop().data + event.data)
        told.append(event)

    def renamed(self, data: bytes) -> bytes:
        """C{data} with ids in the order in which they are told: Python makes one for a request
        whose body is still to come, the compiled path when it is here."""

        def renamed_id(found: re.Match[bytes]) -> bytes:
            return self.ids.setdefault(found[0], PREFIX + b"-%08x" % len(self.ids))

        return re.sub(PREFIX + b"-[0-9a-f]{8}", renamed_id, data)

    def answer(self, *messages: m.Message) -> None:
        """The guest says that, in one read."""
        self.guest.dataReceived(b"".join([message.encode() for message in messages]))
        self.turn()

    def observed(self) -> dict[str, object]:
        """All that can be seen from outside."""
        seen = self.seen()
        seen["client"] = {number: told for number, told in self.client.told.items() if told}
        seen["bodies"] = self.client.bodies
        seen["guest"] = self.sent
        seen["log"] = (self.renamed(seen["log"][0]), *seen["log"][1:])  # type: ignore[index]
        return seen


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


class Http2ConversationTests(SynchronousTestCase):
    skip = unavailable()

    def pair(self, **options: Any) -> list[Http2Side]:
        return [Http2Side(True, **options), Http2Side(False, **options)]

    def same(self, sides: list[Http2Side], where: object) -> dict[str, object]:
        """Compare all that can be seen."""
        fast, slow = (side.observed() for side in sides)
        for key, value in fast.items():
            self.assertEqual(value, slow[key], (where, key))
        return fast

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
