"""Tests for L{subproxy.wire.whole}: it takes what the reference would take, and nothing else."""

from __future__ import annotations

import tracemalloc
from typing import Any

import tnetstring
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection, limits_info
from subproxy.wire.limits import Limits
from subproxy.wire.states import Role, Side
from subproxy.wire.whole import _recognise, encoded_field, whole_request
from tests.rigs.core_strategies import relaxed

HEADERS = [(b"Host", b"blog.example"), (b"X", b"")]
INFO = {b"client": b"127.0.0.1", b"scheme": b"http", b"version": b"1.1", b"id": b"0-1"}


def guest(limits: Limits | None = None, **welcome: int) -> WireConnection:
    """A guest's end that has been welcomed, by who takes so much."""
    connection = WireConnection(Role.GUEST, limits)
    connection.send(
        m.Hello({**limits_info(connection.limits), b"application": b"a", b"instance": b"i"})
    )
    connection.data_to_send()
    takes = {key.encode(): value for key, value in welcome.items()}
    connection.feed(m.Welcome({b"version": 1, **takes}).encode())
    assert isinstance(connection.next_event(), m.Welcome)
    return connection


def request(number: int = 1, body: Any = b"", **changes: Any) -> bytes:
    values = {"method": b"GET", "target": b"/a?b", "headers": HEADERS, "info": INFO} | changes
    return m.Request(number, body=body, **values).encode()


values = st.recursive(
    st.binary(max_size=12) | st.integers(-3, 3) | st.booleans() | st.none() | st.floats(0, 1),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.binary(max_size=9), inner, max_size=3)
    ),
    max_leaves=5,
)
fields = st.lists(st.tuples(st.binary(max_size=5), st.binary(max_size=9)).map(list), max_size=4)
infos = st.dictionaries(
    st.sampled_from(
        [b"client", b"scheme", b"id", b"version", b"trailers", b"expect", b"tls", b"x"]
    ),
    st.binary(max_size=9) | st.booleans() | values,
    max_size=4,
)
frames = st.tuples(
    st.sampled_from([b"request", b"request", b"request", b"response", b"end"]),
    st.integers(-1, 5) | values,
    st.binary(max_size=9) | values,
    st.binary(max_size=9) | values,
    fields | values,
    infos | values,
    st.binary(max_size=9) | values,
).map(list)
lengths = st.integers(0, 2)


class WholeRequestTests(SynchronousTestCase):
    def test_one(self) -> None:
        connection = guest()
        connection.feed(request())
        self.assertEqual(
            connection.next_whole(),
            (1, b"GET", b"/a?b", HEADERS, INFO, b""),
        )
        self.assertIsNone(connection.next_whole())
        self.assertIsNone(connection.next_event())
        self.assertEqual((connection.last, connection.exchanges), (1, {}))

    def test_several_and_a_part(self) -> None:
        connection = guest()
        third = request(3)
        connection.feed(request(1) + request(2) + third[:20])
        for number in (1, 2):
            found = connection.next_whole()
            assert found is not None
            self.assertEqual(found[0], number)
        self.assertIsNone(connection.next_whole())
        self.assertIsNone(connection.next_event())
        connection.feed(third[20:])
        while (found := connection.next_whole()) is None:
            event = connection.next_event()
            if event is not None:
                assert isinstance(event, m.Request)
                self.assertEqual(event.exchange, 3)
                return
        self.assertEqual(found[0], 3)

    def test_what_is_left_to_the_reference(self) -> None:
        for data in (
            request(body=None),
            request(body={b"token": b"t", b"length": 1}),
            request(info={b"expect": True}),
            request(info={b"tls": {b"version": b"1.3"}}),
            request(info={b"new": 1}),
            m.Ping(b"1").encode(),
        ):
            connection = guest()
            connection.feed(data)
            self.assertIsNone(connection.next_whole())
            self.assertIsNotNone(connection.next_event())

    def test_a_body_that_may_not_be_inline(self) -> None:
        connection = guest(Limits(inline=4))
        connection.feed(request(body=b"12345") + request(2, body=b"1234"))
        self.assertIsNone(connection.next_whole())
        self.assertEqual(type(connection.next_event()).__name__, "Violation")
        self.assertIsNotNone(connection.next_whole())

    def test_only_while_both_may(self) -> None:
        """A guest that drains still answers; nobody is asked before or behind that."""
        for change, taken in (
            (None, True),
            (m.Drain(), True),
            (m.Bye(), False),
        ):
            connection = guest()
            if change is not None:
                connection.send(change)
            connection.feed(request())
            self.assertEqual(connection.next_whole() is not None, taken)
        unwelcome = WireConnection(Role.GUEST)
        unwelcome.feed(request())
        self.assertIsNone(unwelcome.next_whole())
        drained = guest()
        drained.feed(m.Drain().encode() + request())
        self.assertEqual(drained.next_event(), m.Drain())
        self.assertIsNone(drained.next_whole())
        self.assertEqual(type(drained.next_event()).__name__, "Broken")

    def test_numbers_grow(self) -> None:
        connection = guest()
        connection.feed(request(5) + request(5))
        self.assertIsNotNone(connection.next_whole())
        self.assertIsNone(connection.next_whole())
        self.assertEqual(type(connection.next_event()).__name__, "Broken")

    @given(frames, lengths)
    @relaxed
    def test_as_the_reference(self, frame: list[Any], cut: int) -> None:
        """Whatever comes: it is taken if, and as, the reference takes it with a whole body."""
        data: bytes = tnetstring.dumps(frame)
        if cut == 1:
            data = data.replace(b"1:", b"01:", 1)
        elif cut == 2:
            data = data.replace(b"#", b",", 1)
        one, other = guest(), guest()
        one.feed(data)
        other.feed(data)
        found = one.next_whole()
        event = other.next_event()
        if found is None:
            self.assertEqual(one.last, 0)
            self.assertEqual(str(one.next_event()), str(event))
        else:
            assert isinstance(event, m.Request)
            number, method, target, headers, info, body = found
            self.assertEqual(m.Request(number, method, target, headers, info, body), event)


class WholeFrameTests(SynchronousTestCase):
    """The compiled recogniser beside the reference; without a compiler they are the same."""

    def same(self, data: bytes, inline: int = 65_536) -> Any:
        results = [
            recognise(b"#" * before + data + behind, before, before + len(data), inline, lower)
            for recognise in (whole_request, _recognise)
            for before, behind in ((0, b""), (3, b""), (3, b"###"), (0, b"]"))
            for lower in (False, True)
        ]
        plain, lower = results[:2]
        self.assertEqual(results, [plain, lower] * 8)
        return plain

    @given(frames, st.integers(0, 200), st.binary(max_size=2), st.integers(0, 2))
    @relaxed
    def test_any_frame(self, frame: list[Any], at: int, bytes_there: bytes, more: int) -> None:
        """Whole ones, and ones with other bytes somewhere."""
        data: bytes = tnetstring.dumps(frame)
        self.same(data)
        self.same(data[:at] + bytes_there + data[at + more :] or b"0:]")

    @given(st.integers(0, 120), st.binary(max_size=2), st.integers(0, 2))
    @relaxed
    def test_nearly_one(self, at: int, bytes_there: bytes, more: int) -> None:
        data = request(body=b"abc")
        self.same(data[:at] + bytes_there + data[at + more :])

    def test_limits(self) -> None:
        most = [(b"a", b"x" * 511)] * 128
        for data, taken in (
            (request(headers=most), True),
            (request(headers=[(b"ab", b"x" * 511), *most[1:]]), False),
            (request(headers=[(b"", b"")] * 128), True),
            (request(headers=[(b"", b"")] * 129), False),
            (request(method=b"x" * 64), True),
            (request(method=b"x" * 65), False),
            (request(method=b"x"), True),
            (request(method=b""), False),
            (request(target=b"x" * 65_536), True),
            (request(target=b"x" * 65_537), False),
            (request(target=b"x"), True),
            (request(target=b""), False),
            (request(2**53 - 1), True),
            (request(2**53), False),
            (request(0), False),
            (request(info={b"id": b"x" * 1024}), True),
            (request(info={b"id": b"x" * 1025}), False),
            (request(info={b"trailers": True, b"stamped": False}), True),
            (request(info={b"trailers": b"true"}), False),
            (request(body=b"x" * 65_536), True),
            (request(body=b"x" * 65_537), False),
        ):
            self.assertEqual(self.same(data) is not None, taken, data[:60])

    def test_every_element_is_what_it_should_be(self) -> None:
        """Anything else in its place, and the reference is to say what is wrong with it."""
        good = [b"request", 1, b"GET", b"/", [[b"a", b"b"]], {}, b""]
        self.assertIsNotNone(self.same(tnetstring.dumps(good)))
        others = (b"", b"ab", 1, -1, True, None, 1.5, [], [[]], {}, {b"ab": b"cd"}, {b"id": 1})
        taken = {1: (1,), 2: (b"ab",), 3: (b"ab",), 4: ([],), 5: ({},), 6: (b"", b"ab")}
        for at in range(len(good)):
            for other in others:
                frame = [*good[:at], other, *good[at + 1 :]]
                expected = any(repr(other) == repr(each) for each in taken.get(at, ()))
                found = self.same(tnetstring.dumps(frame))
                self.assertEqual(found is not None, expected, frame)
        for size in (0, 1, 6):
            self.assertIsNone(self.same(tnetstring.dumps(good[:size])))
        self.assertIsNone(self.same(tnetstring.dumps([*good, b""])))

    def test_every_field_is_two_byte_strings(self) -> None:
        for field in (b"ab", 1, None, [], [b"a"], [b"a", b"b", b"c"], {b"a": b"b"}):
            self.assertIsNone(self.same(tnetstring.dumps(self.frame(headers=[field]))), field)
        for other in (1, None, True, [], {}):
            for field in ([other, b"b"], [b"a", other]):
                self.assertIsNone(self.same(tnetstring.dumps(self.frame(headers=[field]))), field)
        self.assertIsNone(self.same(tnetstring.dumps(self.frame(headers=[{b"a": 1, b"b": 2}]))))

    def test_every_key_is_known_and_its_value_right(self) -> None:
        texts, booleans = (b"client", b"scheme", b"version", b"id"), (b"trailers", b"stamped")
        for key in (*texts, *booleans, b"expect", b"tunnel", b"hops", b"tls", b""):
            for value in (b"", b"x", True, False, 1, None, [], {}):
                taken = type(value) is bytes if key in texts else type(value) is bool
                taken &= key in texts or key in booleans
                found = self.same(tnetstring.dumps(self.frame(info={key: value})))
                self.assertEqual(found is not None, taken, (key, value))

    def frame(self, headers: Any = (), info: Any = ()) -> list[Any]:
        return [b"request", 1, b"GET", b"/", list(headers), dict(info), b""]

    def test_colons_are_no_elements(self) -> None:
        """However many a body, a target and a field have."""
        colons = b":" * 4000
        for changes in ({"body": colons}, {"target": colons}, {"headers": [(b"a", colons)]}):
            self.assertIsNotNone(self.same(request(**changes)))

    def test_too_many_elements_are_not_made(self) -> None:
        """They are counted first: a frame of 256 KiB could hold 87,000 of them."""
        data = tnetstring.dumps(self.frame(info={b"id": [None] * 80_000}))
        tracemalloc.start()
        try:
            self.assertIsNone(whole_request(data, 0, len(data), 65_536, False))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(peak, len(data) + 10_000)

    def test_a_key_twice(self) -> None:
        one = tnetstring.dumps({b"id": b"a"})
        inner = one[one.index(b":") + 1 : -1]
        twice = b"%d:%b}" % (2 * len(inner), 2 * inner)
        data = request(info={b"id": b"a"})
        at = data.index(b":") + 1
        payload = data[at:-1].replace(one, twice)
        self.assertIsNone(self.same(b"%d:%b]" % (len(payload), payload)))


class WholeAnswerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.connection = guest()
        self.connection.feed(request())
        self.connection.next_whole()
        self.fields = b"".join(encoded_field(name, value) for name, value in HEADERS)

    def test_as_the_reference(self) -> None:
        for body in (b"", b"hello", b"x" * 2000):
            self.assertTrue(self.connection.answer_whole(1, 200, self.fields, body))
            self.assertEqual(
                self.connection.data_to_send(), m.Response(1, 200, HEADERS, {}, body).encode()
            )

    def test_what_does_not_fit(self) -> None:
        self.assertFalse(self.connection.answer_whole(1, 200, b"", bytes(65_537)))
        self.assertFalse(self.connection.answer_whole(1, 200, bytes(262_144), b""))
        self.assertEqual(self.connection.data_to_send(), b"")

    def test_the_longest_that_fit(self) -> None:
        """A body as long as may be inline, and a frame as long as is taken: not a byte more."""
        for size, fits in ((100, True), (101, False)):
            connection = guest(inline=100)
            self.assertIs(connection.answer_whole(1, 200, b"", bytes(size)), fits)
        most = 1024 - len(b"8:response,1:1#3:200#992:]0:}0:,")
        for size, fits in ((most, True), (most + 1, False)):
            connection = guest(frame=1024)
            self.assertIs(connection.answer_whole(1, 200, bytes(size), b""), fits)

    def test_when_it_is_over(self) -> None:
        for ours, answers in (
            (Side.IDLE, False),
            (Side.OPEN, True),
            (Side.DRAINING, True),
            (Side.DONE, False),
        ):
            self.connection.ours = ours
            self.assertIs(self.connection.answer_whole(1, 200, b"", b""), answers)

    def test_it_is_said_behind_what_was_said(self) -> None:
        self.connection.send(m.Pong(b"1"))
        self.connection.answer_whole(1, 200, b"", b"")
        self.assertEqual(
            self.connection.data_to_send(), m.Pong(b"1").encode() + m.Response(1, 200, []).encode()
        )

    def test_adopted(self) -> None:
        """It is as if its request had come the other way."""
        other = guest()
        other.feed(request())
        other.next_event()
        self.connection.adopt_request(1)
        for each in (self.connection, other):
            exchange = each.exchanges[1]
            self.assertEqual(exchange.theirs.name, "DONE")
            self.assertEqual(exchange.sending.available, 65_536)
            each.send(m.Response(1, 200, [], {}, None))
            each.write_body(1, b"x")
            each.end_body(1)
            self.assertEqual(each.exchanges, {})
        self.assertEqual(self.connection.data_to_send(), other.data_to_send())

    def test_an_adopted_one_is_over_with_its_answer(self) -> None:
        self.connection.adopt_request(1)
        self.assertTrue(self.connection.answer_whole(1, 200, b"", b""))
        self.assertEqual(self.connection.exchanges, {})
