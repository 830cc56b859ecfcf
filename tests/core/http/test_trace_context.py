"""Trace Context: what is passed on, and what is made."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.request import Headers
from subproxy.core.http.trace_context import TraceContext, is_state, trace_id

TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HOST = (b"Host", b"a.example")


class Draws:
    """What is drawn, in turn; then ones."""

    def __init__(self, *drawn: bytes) -> None:
        self.drawn = list(drawn)

    def __call__(self, size: int) -> bytes:
        return self.drawn.pop(0) if self.drawn else b"\x11" * size


class TraceparentTests(SynchronousTestCase):
    def test_valid(self) -> None:
        for value in (
            PARENT,
            PARENT[:-2] + b"00",
            PARENT[:-2] + b"ff",
            b"01" + PARENT[2:],
            b"cc" + PARENT[2:] + b"-what-the-future-will-be-like",
            b"cc" + PARENT[2:] + b"-",
        ):
            self.assertEqual(trace_id(value), TRACE, value)

    def test_not_valid(self) -> None:
        """Of the specification's own test suite (w3c/trace-context, test.py), among others."""
        for value in (
            b"",
            PARENT[:-1],
            PARENT + b"0",
            PARENT + b"-",
            PARENT + b"-more",
            b"ff" + PARENT[2:],
            b"ff" + PARENT[2:] + b"-more",
            b"01" + PARENT[2:] + b"0",
            b"01" + PARENT[2:] + b".more",
            b"0" + PARENT,
            b".0" + PARENT[2:],
            PARENT.upper(),
            PARENT.replace(b"4bf9", b"4BF9"),
            PARENT.replace(TRACE, b"0" * 32),
            PARENT.replace(b"00f067aa0ba902b7", b"0" * 16),
            PARENT.replace(b"00f067aa0ba902b7", b"00f067aa0ba902b."),
            PARENT[:-2] + b"0.",
            PARENT.replace(b"-", b"_"),
            b" " + PARENT,
            PARENT + b"\n",
            b"01" + PARENT[2:] + b"-" + b"a" * 300,
        ):
            self.assertIsNone(trace_id(value), value)

    def test_the_longest(self) -> None:
        """Of a later version: 256 bytes, and not one more."""
        value = b"01" + PARENT[2:] + b"-" + b"a" * 200
        self.assertEqual(len(value), 256)
        self.assertEqual(trace_id(value), TRACE)
        self.assertIsNone(trace_id(value + b"a"))

    def test_state(self) -> None:
        good = (
            b"",
            b"foo=1",
            b"foo=1,bar=2",
            b"foo=1 \t , \t bar=2, ,",
            b"1a-_*/@b-_*/=!~",
            b"a=" + b"x" * 256,
            b"z" * 256 + b"=1",
            b"t" * 241 + b"@" + b"v" * 14 + b"=1",
            b",".join(b"k%d=1" % n for n in range(32)),
        )
        bad = (
            b"foo",
            b"foo=",
            b"foo=1,foo=1",
            b"Xoo=1",
            b"foo =1",
            b"foo=1=2",
            b"foo@=1",
            b"@foo=1",
            b"foo@1bar=1",
            b"a@b@c=1",
            b"a=" + b"x" * 257,
            b"z" * 257 + b"=1",
            b"t" * 242 + b"@v=1",
            b"t@" + b"v" * 15 + b"=1",
            b"a=\xe4",
            b",".join(b"k%d=1" % n for n in range(33)),
        )
        self.assertEqual([each for each in good if not is_state(each)], [])
        self.assertEqual([each for each in bad if is_state(each)], [])


class FollowTests(SynchronousTestCase):
    def follow(self, *headers: tuple[bytes, bytes]) -> tuple[bytes, Headers]:
        found = [HOST, *headers]
        trace = TraceContext(1.0, Draws()).follow(found)
        self.assertEqual(found[0], HOST)
        self.assertIn(trace, [v[3:35] for name, v in found if name.lower() == b"traceparent"])
        return trace, found[1:]

    def test_a_valid_one_goes_on_as_it_came(self) -> None:
        sent = [(b"TraceParent", PARENT), (b"Tracestate", b"a=1"), (b"tracestate", b"b=2")]
        self.assertEqual(self.follow(*sent), (TRACE, sent))

    def test_fields_whose_names_are_as_long(self) -> None:
        others = [(b"If-None-Tag", PARENT), (b"User-Agent", b"nothing")]
        sent = [*others, (b"traceparent", PARENT), (b"tracestate", b"a=1")]
        self.assertEqual(self.follow(*sent), (TRACE, sent))

    def test_a_state_that_is_none_is_dropped(self) -> None:
        """All of it: who follows reads several as one. The trace stays."""
        for states in ([b"a=1", b"a=2"], [b"nothing"]):
            fields = [(b"tracestate", each) for each in states]
            found = self.follow(*fields, (b"traceparent", PARENT))
            self.assertEqual(found, (TRACE, [(b"traceparent", PARENT)]))

    def test_a_new_one_where_there_is_none(self) -> None:
        made = (b"traceparent", b"00-" + b"11" * 16 + b"-" + b"11" * 8 + b"-01")
        for sent in (
            [],
            [(b"tracestate", b"a=1")],
            [(b"traceparent", b"nonsense"), (b"tracestate", b"a=1")],
            [(b"traceparent", PARENT), (b"Traceparent", PARENT)],
        ):
            self.assertEqual(self.follow(*sent), (b"11" * 16, [made]))

    def test_no_id_of_zeros_is_made(self) -> None:
        draws = Draws(bytes(24), bytes(16) + b"\1" * 8, b"\1" * 16 + bytes(8))
        self.assertEqual(trace_id(TraceContext(0, draws).make()), b"11" * 16)

    def test_sampled(self) -> None:
        """By the last 56 bits of the trace, as OpenTelemetry decides."""
        low, high = b"\xff" * 9 + bytes(7) + b"\1" * 8, bytes(9) + b"\xff" * 7 + b"\1" * 8
        middle = b"\xff" * 9 + b"\x7f" + b"\xff" * 6 + b"\1" * 8
        for share, expected in (
            (0.0, b"000"),
            (0.5, b"110"),
            (0.4, b"100"),
            (1.0, b"111"),
        ):
            traces = TraceContext(share, Draws(low, middle, high))
            self.assertEqual(b"".join(traces.make()[-1:] for _ in range(3)), expected)

    @given(st.floats(0, 1), st.binary(min_size=24, max_size=24))
    def test_what_is_made_is_valid(self, share: float, drawn: bytes) -> None:
        made = TraceContext(share, Draws(drawn)).make()
        self.assertIsNotNone(trace_id(made))
        self.assertEqual(len(made), 55)
