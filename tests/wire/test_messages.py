"""Tests of subproxy.wire.messages; which are valid is in tests/vectors/messages.json."""

from __future__ import annotations

from dataclasses import fields as dataclass_fields
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire import fields as check
from subproxy.wire import messages as m
from subproxy.wire.errors import HelloError, MessageError
from subproxy.wire.frames import decode
from tests.wire.test_frames import frames, values

ONE_OF_EACH: list[m.Message] = [
    m.Hello({b"version": 1, b"application": b"a", b"instance": b"i"}),
    m.Connect(1, b"token"),
    m.Register(1, b"host", b"path", {b"x": 1}),
    m.Unregister(2),
    m.Pong(b"nonce", {b"concurrency": 3}),
    m.Response(1, 200, [(b"a", b"b"), (b"c", b"")], {b"reason": b"Fine"}, b"body"),
    m.Response(1, 200, [], {}, None),
    m.Response(1, 200, [], {}, b"x" * 100_000),
    m.Welcome({b"version": 1}),
    m.Registered(1, {b"x": [None]}),
    m.Unregistered(1),
    m.Refused(0, b"code", b"reason"),
    m.Ping(b"nonce"),
    m.Request(1, b"GET", b"/", [(b"Host", b"h")], {b"client": b"1.2.3.4"}, {b"length": 1}),
    m.Request(1, b"GET", b"/", [], {}, b"y" * 5000),
    m.Body(1, b"data"),
    m.End(1, [(b"sum", b"1")], {b"later": True}),
    m.Move(1, 0),
    m.Credit(1, 5),
    m.Abort(1, b"client", b"left"),
    m.Drain({b"deadline": 0}),
    m.Bye(b"done", b"because"),
]


class MessageTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """What is encoded is read as the same message."""
        for message in ONE_OF_EACH:
            self.assertEqual(message, m.parse(decode(message.encode())))
            self.assertEqual(message.encode(), b"".join(message.pieces()))
            self.assertEqual(message.verb, message.frame()[0])

    def test_all_are_here(self) -> None:
        """Each message class has its row, its verb, and an example above."""
        self.assertEqual(set(m.ELEMENTS), {type(message) for message in ONE_OF_EACH})
        # By name: `dataclass(slots=True)` makes each class anew, the first lives until collected.
        names = {kind.__name__ for kind in m.Message.__subclasses__()}
        self.assertEqual({kind.__name__ for kind in m.ELEMENTS}, names)
        self.assertEqual(len(m.ELEMENTS), len(m.BY_VERB))
        for verb, kind in m.BY_VERB.items():
            self.assertEqual(verb, kind.verb)
            self.assertEqual(verb.decode(), kind.__name__.lower())

    def test_elements_are_the_fields(self) -> None:
        """The table has a check for each field, and needs those without a default in Python too."""
        for kind, (needed, checks) in m.ELEMENTS.items():
            self.assertEqual(len(dataclass_fields(kind)), len(checks), kind)
            self.assertLessEqual(needed, len(checks), kind)
            values = [b"1", 1, {}]
            kind(*(values * 2)[:needed])

    def test_missing_elements(self) -> None:
        """A frame that is cut where an element must be is no message; from there on it is."""
        for message in ONE_OF_EACH:
            frame = decode(message.encode())
            needed, checks = m.ELEMENTS[type(message)]
            for size in range(1, len(checks) + 1):
                if size <= needed:
                    error = self.assertRaises(MessageError, m.parse, frame[:size])
                    expected = f"{message.verb.decode()}: {needed} elements must follow the verb"
                    self.assertEqual(expected, str(error))
                else:
                    self.assertIsInstance(m.parse(frame[:size]), type(message))

    def test_more_elements(self) -> None:
        """What follows the last known element is ignored."""
        for message in ONE_OF_EACH:
            frame = [*decode(message.encode()), {b"more": [1]}, None]
            self.assertEqual(message, m.parse(frame))

    def test_no_verb(self) -> None:
        """A frame begins with a verb."""
        for frame in ([], [1], [None], [[b"ping"]], [{}]):
            error = self.assertRaises(MessageError, m.parse, frame)
            self.assertEqual("a frame begins with a verb", str(error))

    def test_unknown_verb(self) -> None:
        """A verb that we don't know is no error."""
        for verb in (b"", b"frobnicate", b"PING", b"ping "):
            self.assertIsNone(m.parse([verb, 1]))

    def test_reason(self) -> None:
        """A wrong element says of which message; a wrong hello is told apart."""
        error = self.assertRaises(MessageError, m.parse, [b"ping", 1])
        self.assertEqual("ping: a byte string is missing", str(error))
        hello = self.assertRaises(HelloError, m.parse, [b"hello", {b"version": 2}])
        self.assertEqual(b"version", hello.refusal)
        error = self.assertRaises(MessageError, m.parse, [b"hello"])
        self.assertNotIsInstance(error, HelloError)

    @given(frames)
    def test_any_frame(self, frame: list[Any]) -> None:
        """Any frame is a message, is ignored, or is refused; nothing else."""
        try:
            m.parse(frame)
        except MessageError:
            pass

    @given(st.sampled_from(sorted(m.BY_VERB)), st.lists(values, max_size=7))
    def test_any_elements(self, verb: bytes, elements: list[Any]) -> None:
        """Any elements of any verb are a message, which encodes to what it was, or are refused."""
        try:
            message = m.parse([verb, *elements])
        except MessageError:
            return
        assert message is not None
        again = message.frame()
        shared = min(len(again), 1 + len(elements))
        assert again[:shared] == [verb, *elements][:shared]
        assert m.parse(decode(message.encode())) == message

    def test_defaults_are_not_shared(self) -> None:
        """Two messages do not share a default that can change."""
        self.assertIsNot(m.Drain().info, m.Drain().info)
        self.assertIsNot(m.End(1).trailers, m.End(1).trailers)
        self.assertEqual((b"done", b""), (m.Bye().code, m.Bye().reason))
        self.assertEqual(b"", m.Abort(1, b"client").reason)
        self.assertEqual(b"", m.Response(1, 200, []).body)
        self.assertEqual(b"", m.Request(1, b"GET", b"/", []).body)


class LookupTests(SynchronousTestCase):
    def test_there(self) -> None:
        """A value that is there is checked."""
        self.assertEqual(5, m.lookup({b"a": 5}, b"a", check.number, 7))
        error = self.assertRaises(MessageError, m.lookup, {b"a": b"5"}, b"a", check.number, 7)
        self.assertEqual("a: an integer is missing", str(error))

    def test_absent(self) -> None:
        """A value that is absent is the default, which is not checked."""
        self.assertEqual(-1, m.lookup({b"b": 5}, b"a", check.number, -1))

    def test_null_is_there(self) -> None:
        """A null is a wrong value, not an absent one."""
        self.assertRaises(MessageError, m.lookup, {b"a": None}, b"a", check.number, 7)

    def test_a_key_that_is_no_ascii(self) -> None:
        """The reason can be told whatever the key is."""
        error = self.assertRaises(MessageError, m.lookup, {b"\xff": None}, b"\xff", check.number, 7)
        self.assertIn("an integer is missing", str(error))
