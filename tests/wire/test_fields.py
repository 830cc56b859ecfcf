"""Tests of subproxy.wire.fields; more of what each takes is in tests/vectors/messages.json."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire import fields
from subproxy.wire.errors import HelloError, MessageError
from subproxy.wire.limits import MAX_CREDIT, MAX_NUMBER

OTHER_THINGS: list[Any] = [None, True, False, 0.5, "text", bytearray(b"x"), (b"a", b"b"), object()]


class CheckTests(SynchronousTestCase):
    def _takes(self, check: fields.Check, values: Iterable[Any]) -> None:
        for value in values:
            self.assertIs(value, check(value))

    def _refuses(self, check: fields.Check, values: Iterable[Any]) -> None:
        for value in values:
            self.assertRaises(MessageError, check, value)

    def test_integers(self) -> None:
        """Integers have bounds, and a boolean is none."""
        for check, low, high in (
            (fields.number, 1, MAX_NUMBER),
            (fields.reference, 0, MAX_NUMBER),
            (fields.credit, 1, MAX_CREDIT),
            (fields.status, 100, 999),
        ):
            self._takes(check, [low, low + 1, high - 1, high])
            self._refuses(check, [low - 1, high + 1, b"1", [1], *OTHER_THINGS])
        error = self.assertRaises(MessageError, fields.status, 99)
        self.assertEqual("99 is not between 100 and 999", str(error))
        error = self.assertRaises(MessageError, fields.status, b"200")
        self.assertEqual("an integer is missing", str(error))

    def test_octets(self) -> None:
        """Byte strings have bounds."""
        for check, low, high in (
            (fields.name, 1, 128),
            (fields.nonce, 1, 128),
            (fields.token, 1, 128),
            (fields.pattern, 1, 1024),
            (fields.reason, 0, 1024),
            (fields.text, 0, 1024),
            (fields.method, 1, 64),
            (fields.target, 1, 65_536),
        ):
            self._takes(check, [b"x" * low, b"x" * high])
            self._refuses(check, [b"x" * (high + 1), 1, [b"x"], *OTHER_THINGS])
            if low:
                self._refuses(check, [b""])
        self._takes(fields.data, [b"x", b"x" * 200_000])
        self._refuses(fields.data, [b"", *OTHER_THINGS])
        error = self.assertRaises(MessageError, fields.method, b"")
        self.assertEqual("a byte string of 0 bytes is out of bounds", str(error))
        error = self.assertRaises(MessageError, fields.method, 1)
        self.assertEqual("a byte string is missing", str(error))

    def test_boolean(self) -> None:
        """Only true and false are booleans."""
        self._takes(fields.boolean, [True, False])
        self._refuses(fields.boolean, [0, 1, b"true", None, [], {}])

    def test_info(self) -> None:
        """A dictionary of anything under byte strings."""
        self._takes(fields.info, [{}, {b"a": 1}, {b"": object()}])
        self._refuses(fields.info, [{1: b""}, {None: 1}, {b"a": 1, "b": 2}, [], 1, *OTHER_THINGS])
        error = self.assertRaises(MessageError, fields.info, {1: 1})
        self.assertEqual("the keys of a dictionary are byte strings", str(error))

    def test_keys(self) -> None:
        """What is known is checked, what is needed must be there, what is unknown may be."""
        check = fields.keys({b"a": fields.number, b"b": fields.name}, (b"b",))
        self._takes(check, [{b"b": b"x"}, {b"a": 1, b"b": b"x"}, {b"b": b"x", b"c": object()}])
        self._refuses(check, [{}, {b"a": 1}, {b"a": 0, b"b": b"x"}, {b"b": 1}, [], None])
        error = self.assertRaises(MessageError, check, {b"a": 1})
        self.assertEqual("b is missing", str(error))
        error = self.assertRaises(MessageError, check, {b"b": b"x", b"a": 0})
        self.assertEqual(f"a: 0 is not between 1 and {MAX_NUMBER}", str(error))
        self._takes(fields.keys({b"a": fields.number}), [{}])

    def test_body(self) -> None:
        """A body is here, in frames, or elsewhere."""
        self._takes(fields.body, [b"", b"x", None, {}, {b"length": 1}])
        self._refuses(fields.body, [1, [], True, {1: 1}])

    def test_headers(self) -> None:
        """A list of pairs of byte strings becomes a list of tuples."""
        self.assertEqual([], fields.headers([]))
        self.assertEqual([(b"a", b"b"), (b"", b"")], fields.headers([[b"a", b"b"], [b"", b""]]))
        self._refuses(
            fields.headers,
            [
                {},
                b"",
                [b"a: b"],
                [(b"a", b"b")],
                [[b"a"]],
                [[]],
                [[b"a", b"b", b"c"]],
                [[1, b"b"]],
                [[b"a", 1]],
                [[b"a", b"b"], None],
                *OTHER_THINGS,
            ],
        )

    def test_header_limits(self) -> None:
        """A section has at most 128 fields, and 65,536 bytes, names and values together."""
        self.assertEqual(128, len(fields.headers([[b"a", b""]] * 128)))
        error = self.assertRaises(MessageError, fields.headers, [[b"a", b""]] * 129)
        self.assertEqual("more than 128 header fields", str(error))
        full = [[b"n" * 300, b"v" * 32_468], [b"n" * 32_468, b"v" * 300]]
        self.assertEqual(2, len(fields.headers(full)))
        full[0][0] += b"n"
        error = self.assertRaises(MessageError, fields.headers, full)
        self.assertEqual("more than 65536 bytes of header fields", str(error))
        full[0][0] = full[0][0][:-1]
        full[1][1] += b"v"
        self.assertRaises(MessageError, fields.headers, full)


class GreetingTests(SynchronousTestCase):
    HELLO = {b"version": 1, b"application": b"a", b"instance": b"i"}

    def test_hello(self) -> None:
        """A hello with all that it needs is as it was."""
        self.assertIs(self.HELLO, fields.hello(self.HELLO))

    def test_hello_of_another_version(self) -> None:
        """The version is looked at before all else, which it may have changed."""
        for version in (0, 2, -1, MAX_NUMBER):
            error = self.assertRaises(HelloError, fields.hello, {b"version": version, b"frame": 1})
            self.assertEqual(b"version", error.refusal)
            self.assertEqual(f"version {version}: this side speaks version 1", str(error))

    def test_wrong_hello(self) -> None:
        """All else that is wrong is refused as such, with the reason."""
        for info, reason in (
            ([], "hello: a dictionary is missing"),
            ({}, "hello: version is missing"),
            ({**self.HELLO, b"version": b"1"}, "hello: version: an integer is missing"),
            ({**self.HELLO, b"version": True}, "hello: version: an integer is missing"),
            ({b"version": 1, b"instance": b"i"}, "hello: application is missing"),
            ({b"version": 1, b"application": b"i"}, "hello: instance is missing"),
            ({**self.HELLO, b"window": 0}, f"hello: window: 0 is not between 1 and {MAX_CREDIT}"),
        ):
            error = self.assertRaises(HelloError, fields.hello, info)
            self.assertEqual((b"hello", reason), (error.refusal, str(error)))

    def test_welcome(self) -> None:
        """A welcome needs the version, ours, and nothing else."""
        info = {b"version": 1}
        self.assertIs(info, fields.welcome(info))
        error = self.assertRaises(MessageError, fields.welcome, {b"version": 2})
        self.assertEqual("version 2: this side speaks version 1", str(error))
        self.assertNotIsInstance(error, HelloError)
        for wrong in ({}, {b"version": b"1"}, {b"version": 1, b"bulk": -1}, None):
            self.assertRaises(MessageError, fields.welcome, wrong)
