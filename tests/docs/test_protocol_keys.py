"""docs/protocol.md against the code: each key of each C{info}, its type, range and default."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire import fields as fields_of
from subproxy.wire import info, limits
from subproxy.wire import messages as m
from tests.docs.test_protocol import code, number, rows, section

KINDS = ("integer", "byte string", "boolean", "list", "dictionary")


def value_of(kind: str, size: int) -> Any:
    """A value of that type, and of that size or value."""
    match kind:
        case "integer":
            return size
        case "byte string":
            return b"x" * size
        case "list":
            return [b"x"] * size
        case "dictionary":
            return {b"host": b"x", b"version": b"x"}
    return True


def value_range(type_: str) -> tuple[str, int, int]:
    """What the page says of a value: its type, and its least and greatest size or value."""
    kind, _, rest = type_.replace(" from ", ", from ").partition(", ")
    if rest.startswith("of at most "):
        return kind, 0, number(rest)
    if rest.startswith("from "):
        return kind, number(rest), limits.MAX_NUMBER
    low, _, high = rest.partition(" to ")
    if low:
        return kind, number(low), number(high or low)
    return kind, 0, limits.MAX_REASON if kind == "byte string" else limits.MAX_NUMBER


class ProtocolKeyTests(SynchronousTestCase):
    def test_info_keys(self) -> None:
        """Each key of info has the type that the document says."""
        text = section("hello, welcome")
        first = "| key | type | meaning | default |"
        both = rows(text, "key", "type", "meaning", "default")
        after = text[text.index(first) + len(first) :]
        hello = rows(after, "key", "type", "meaning")
        welcome = rows(after[after.index("In `welcome`") :], "key", "type", "meaning")
        request = rows(section("request"), "key", "type", "meaning")
        base = {b"version": 1, b"application": b"a", b"instance": b"i", b"processes": 1024}
        for kind, table in (
            (b"hello", both + hello),
            (b"welcome", both + welcome),
            (b"request", request),
        ):
            for key, type_, *_ in table:
                (name,) = code(key)
                self._check_key(
                    m.ELEMENTS[m.BY_VERB[kind]][1][4 if kind == b"request" else 0],
                    base if kind != b"request" else {},
                    name.encode(),
                    type_,
                )

    def test_other_info_keys(self) -> None:
        """So do those of the other dictionaries."""
        registration = section("register, registered, refused, unregister, unregistered")
        for key, of, type_, _ in rows(registration, "key", "of", "type", "meaning"):
            check = fields_of.register if code(of) == ["register"] else fields_of.registered
            self._check_key(check, {}, code(key)[0].encode(), type_)
        for key, type_, _ in rows(section("Peers"), "key", "type", "meaning"):
            self._check_key(fields_of.peer, {b"host": b"h"}, code(key)[0].encode(), type_)
        table = rows(section("TLS information"), "name in `register`", "key", "type", "meaning")
        for _, key, type_, _ in table:
            self._check_key(fields_of.tls, {b"version": b"1.3"}, code(key)[0].encode(), type_)

    def test_every_key_has_its_function(self) -> None:
        """A key that revision 3 has brought is read by one function, which has its default."""
        empty: dict[bytes, Any] = {}
        self.assertEqual([], info.tunnel_tokens(empty))
        self.assertEqual((0, 1), info.process(empty))
        for read in (info.process_wanted, info.peer, info.tunnel_moves_at, info.epoch):
            self.assertIsNone(read(empty))
        for read in (info.peer_route, info.tunnel_asked, info.tls, info.end_length):
            self.assertIsNone(read(empty))
        for tells in (info.full, info.passthrough, info.wakes_machine, info.takes_trailers):
            self.assertIs(False, tells(empty))
        self.assertIs(False, info.stamped(empty))
        self.assertEqual(([], 0), (info.tls_names(empty), info.hops(empty)))
        text = section("hello, welcome")
        for key, default in (("process", "0 by default"), ("processes", "1 by default")):
            self.assertRegex(text, rf"\| `{key}` \|.*{default} \|")

    def _check_key(
        self, check: fields_of.Check, base: dict[bytes, Any], key: bytes, type_: str
    ) -> None:
        """Values of that type pass C{check}, to both ends of its range; others do not."""
        kind, low, high = value_range(type_)
        if key == b"version" and kind == "integer":
            low = high = limits.VERSION
        for value in (value_of(each, 20) for each in KINDS if each != kind):
            self.assertRaises(m.MessageError, check, {**base, key: value})
        for size in {low, high}:
            found = {**base, key: value_of(kind, size)}
            self.assertIs(found, check(found))
        if kind not in ("boolean", "dictionary"):
            for size in {low - 1, high + 1} - ({-1} if kind != "integer" else set()):
                value = value_of(kind, size)
                self.assertRaises(m.MessageError, check, {**base, key: value})
