"""Answers streamed in frames: what the compiled path passes on is what Python would have."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from subproxy.core.http.fields import MAX_LENGTH
from subproxy.fastpath.install import unavailable
from subproxy.frontend.http1.response_writer import chunk_head
from subproxy.wire import messages as m
from subproxy.wire.limits import Limits as WireLimits
from tests.rigs.conversation_case import GET, ConversationCase
from tests.rigs.examples import examples
from tests.rigs.fastpath_rig import Differ, Pair, Side, response

HTTP_1_0 = GET.replace(b"HTTP/1.1", b"HTTP/1.0")
HEAD = GET.replace(b"GET", b"HEAD")
HEADS = {
    "chunks": m.Response(1, 200, [(b"content-type", b"text/event-stream")], {}, None),
    "length": m.Response(1, 200, [(b"content-length", b"9000")], {}, None),
    "no body": m.Response(1, 204, [], {}, None),
    "data connection": m.Response(1, 200, [], {}, {}),
}

SIZES = st.one_of(
    st.integers(1, 200), st.sampled_from([4095, 4096, 4097, 8999, 32_767, 32_768, 65_536])
)
STEPS = st.one_of(
    st.tuples(st.sampled_from(["piece", "pieces", "and more"]), SIZES),
    st.tuples(st.sampled_from(["piece", "pieces", "and more"]), SIZES),
    st.tuples(st.just("spoilt"), st.integers(0, 40)),
    st.tuples(
        st.sampled_from(
            [
                *("stall", "drain", "stall guest", "drain guest", "wait", "half close", "again"),
                *("end", "trailers", "abort", "empty", "interim", "connect", "bye", "drains"),
                *("lose", "lose guest"),
            ]
        ),
        st.just(1),
    ),
)


skip = unavailable()


def numbers(side: Side, number: int) -> dict[str, object]:
    """What a proxy knows of the exchange C{number}, that nobody is told."""
    found: dict[str, object] = {}
    wire = side.guest.wire.exchanges.get(number)
    if wire is not None:
        found["halves"] = (wire.ours, wire.theirs, wire.ending)
        found["receiving"] = (wire.receiving.left, wire.receiving._consumed)
    subscription = side.guest.subscription
    carrier = None if subscription is None else subscription.channel._carriers.get(number)
    if carrier is not None:
        exchange, stream = carrier.exchange, carrier.exchange.sink
        found["exchange"] = (exchange.state, exchange.streamed, exchange.received)
        found["stream"] = (stream.sent, stream._owed, bytes(stream._late), stream.answer)
        found["connection"] = (stream._connection.due, stream._connection.writable)
    return found


def step(pair: Pair, what: str, size: int) -> None:
    """One thing that happens to the exchange 1."""
    frame = m.Body(1, (bytes(range(256)) * 257)[:size]).encode()
    if what == "piece":
        pair.guest(frame)
    elif what == "pieces":
        pair.guest(frame[:3], frame[3 : len(frame) // 2], frame[len(frame) // 2 :])
    elif what == "and more":
        pair.guest(frame + m.Pong(b"none").encode() + frame + m.Body(1, b"last").encode())
    elif what == "spoilt":
        good = m.Body(1, b"message").encode()
        at = size % len(good)
        pair.guest(good[:at] + bytes([good[at] ^ (1 + size % 7)]) + good[at + 1 :])
    elif what == "again":
        pair.client(GET)
    elif what == "wait":
        pair.wait(1)
    elif what in MESSAGES:
        pair.guest(MESSAGES[what].encode())
    else:
        getattr(pair, what.replace(" ", "_"))()


MESSAGES: dict[str, m.Message] = {
    "end": m.End(1),
    "trailers": m.End(1, [(b"x-sum", b"1")]),
    "abort": m.Abort(1, b"error", b"no more"),
    "empty": m.Body(1, b""),
    "interim": m.Response(1, 103, [], {}, b""),
    "connect": m.Connect(1, bytes(16)),
    "drains": m.Drain(),
    "bye": m.Bye(),
}


class AnswerStreamTests(ConversationCase):
    def same(self, pair: Pair, last: object) -> None:
        """Both know the same of it."""
        fast, slow = (numbers(side, 1) for side in pair.sides)
        if fast != slow:
            raise Differ(f"{fast}\n{slow}\nafter {last}")

    def begun(self, head: str = "chunks", request: bytes = GET, **options: Any) -> Pair:
        """An answer whose head is written."""
        pair = self.pair(**options)
        pair.client(request)
        pair.guest(HEADS[head].encode())
        return pair

    @settings(max_examples=examples(300), deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(STEPS, max_size=20),
        st.sampled_from(["chunks", "chunks", "length", "no body"]),
        st.sampled_from([GET, GET, GET, HTTP_1_0, HEAD]),
        st.sampled_from([None, WireLimits(frame=1024), WireLimits(window=100)]),
    )
    @example([("piece", 8999), ("piece", 1), ("end", 1)], "length", GET, None)
    @example([("piece", 8999), ("piece", 2)], "length", GET, None)
    @example([("stall", 1), ("piece", 65_536), ("piece", 1), ("drain", 1)], "chunks", GET, None)
    @example([("half close", 1), ("piece", 9), ("wait", 1), ("piece", 9)], "chunks", GET, None)
    @example([("piece", 60), ("piece", 60)], "chunks", GET, WireLimits(window=100))
    def test_any_stream(
        self,
        steps: list[tuple[str, int]],
        head: str,
        request: bytes,
        wire: WireLimits | None,
    ) -> None:
        """Whatever passes, and however it ends."""
        pair = Pair(wire=wire)
        pair.client(request)
        pair.guest(HEADS[head].encode())
        for what, size in steps:
            step(pair, what, size)
            self.same(pair, (what, size))
        pair.close()

    def test_pieces_are_fast(self) -> None:
        """In chunks and by length, of several answers in one read, around what Python does."""
        pair = self.begun()
        for _ in range(10):
            pair.guest(m.Body(1, b"data: 1\n\n").encode())
            self.assertEqual(pair.last["client"], b"9\r\ndata: 1\n\n\r\n")
            self.same(pair, None)
        self.assertEqual(pair.stats["streamed"], 10)
        pair.connect()
        pair.client(GET)
        length = m.Response(2, 200, [(b"content-length", b"4")], {}, None).encode()
        pair.guest(length + m.Body(2, b"ab").encode() + m.Body(1, b"x").encode())
        pair.guest(m.Body(2, b"cd").encode() + m.End(2).encode() + m.Body(1, b"y").encode())
        self.assertEqual(pair.stats["streamed"], 14)

    def test_what_is_not_plain(self) -> None:
        """A client of HTTP/1.0, one that does not read, one that may have left; too much."""
        pair = self.begun(request=HTTP_1_0)
        pair.guest(m.Body(1, b"a").encode())
        self.assertEqual(pair.stats["streamed"], 0)
        pair = self.begun()
        pair.stall()
        for _ in range(3):
            pair.guest(m.Body(1, b"x" * 30_000).encode())
        before = pair.stats["streamed"]
        pair.guest(m.Body(1, b"late").encode())
        self.assertEqual(pair.stats["streamed"], before)
        pair.drain()
        pair.guest(m.Body(1, b"soon").encode())
        self.assertEqual(pair.stats["streamed"], before + 1)
        pair = self.begun("length")
        pair.guest(m.Body(1, b"x" * 9001).encode())
        self.assertEqual(pair.stats["streamed"], 0)

    def test_what_is_not_plain_is_given_to_python_at_once(self) -> None:
        """Frame by frame it costs the proxy twice as much, while a guest need not send more."""
        calls: list[int] = []
        from subproxy.fastpath.subscription_protocol import FastSubscriptionProtocol

        received = FastSubscriptionProtocol.frames_received

        def counted(protocol: FastSubscriptionProtocol, data: bytes) -> None:
            calls.append(len(data))
            received(protocol, data)

        self.patch(FastSubscriptionProtocol, "frames_received", counted)
        pair = self.begun(request=HTTP_1_0)
        pieces = [m.Body(1, b"%d" % each).encode() for each in range(50)]
        calls.clear()
        pair.guest(b"".join(pieces))
        self.assertEqual(pair.last["client"], b"".join(b"%d" % each for each in range(50)))
        self.same(pair, None)
        self.assertEqual(calls, [sum(map(len, pieces))])

    def test_the_greatest_length(self) -> None:
        """It is compared as any other."""
        pair = self.pair()
        pair.client(GET)
        told = str(MAX_LENGTH).encode()
        pair.guest(m.Response(1, 200, [(b"content-length", told)], {}, None).encode())
        pair.guest(m.Body(1, b"a").encode())
        self.same(pair, None)
        self.assertEqual(pair.stats["streamed"], 1)

    def test_requests_beside_it(self) -> None:
        """The compiled path's own, of another client, whose answers come between its pieces."""
        pair = self.begun()
        pair.connect()
        pair.client(GET)
        pair.guest(m.Body(1, b"a").encode() + response(2) + m.Body(1, b"b").encode())
        self.assertTrue(pair.last["client"].endswith(b"hello"))  # type: ignore[attr-defined]
        self.assertEqual((pair.stats["streamed"], pair.stats["requests"]), (2, 1))

    @given(st.binary(min_size=1, max_size=70_000))
    def test_chunks(self, data: bytes) -> None:
        from subproxy.fastpath._answer_channel import written_chunk

        self.assertEqual(written_chunk(data), chunk_head(len(data)) + data + b"\r\n")
