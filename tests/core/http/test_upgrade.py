"""Tests of subproxy.core.http.upgrade."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.upgrade import (
    PASSTHROUGH,
    connect_upgrade,
    requested_upgrade,
    websocket_accept,
    websocket_key,
)
from subproxy.errors import BadRequest, UpgradeRequired

KEY = b"AQIDBAUGBwgJCgsMDQ4PEC=="
"""That of RFC 6455 section 4.1: its last digit is not as an encoder would write it."""

FIELDS = [
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Key", KEY),
    (b"SEC-WEBSOCKET-VERSION", b"13"),
]


class RequestedTests(SynchronousTestCase):
    def test_websocket(self) -> None:
        upgrade = requested_upgrade(b"GET", FIELDS, 0)
        assert upgrade is not None
        self.assertEqual(
            (upgrade.protocols, upgrade.key, upgrade.fault), ((b"websocket",), KEY, None)
        )

    def test_protocols(self) -> None:
        """In the client's order, from all fields; names without case; versions are part of them."""
        for values, protocols in (
            ([b"A/1, b", b"C"], (b"a/1", b"b", b"c")),
            ([b" , x ,,"], (b"x",)),
            ([b"X-One\t,\tTwo-X/X "], (b"x-one", b"two-x/x")),
            ([b",".join([b"x"] * 8)], (b"x",) * 8),
        ):
            upgrade = requested_upgrade(b"GET", [(b"upgrade", value) for value in values], 0)
            assert upgrade is not None
            self.assertEqual(upgrade.protocols, protocols)
            self.assertIsNone(upgrade.fault)

    def test_none(self) -> None:
        for values in ([], [b""], [b","], [b"a b"], [b"a/"], [b"/a"], [b"a/b/c"], [b"x," * 9]):
            fields = [(b"upgrade", value) for value in values]
            self.assertIsNone(requested_upgrade(b"GET", fields, 0), values)

    def test_not_with_a_body(self) -> None:
        for size in (1, None):
            self.assertIsNone(requested_upgrade(b"GET", FIELDS, size))

    def test_faults(self) -> None:
        for at, fields, kind in (
            (1, [], BadRequest),
            (1, [(b"sec-websocket-key", KEY)] * 2, BadRequest),
            (1, [(b"sec-websocket-key", KEY[:-1])], BadRequest),
            (1, [(b"sec-websocket-key", KEY[:-2] + b"AA")], BadRequest),
            (1, [(b"sec-websocket-key", KEY[:-3] + b"-==")], BadRequest),
            (2, [], UpgradeRequired),
            (2, [(b"sec-websocket-version", b"14")], UpgradeRequired),
            (2, [(b"sec-websocket-version", b"13")] * 2, UpgradeRequired),
        ):
            upgrade = requested_upgrade(b"GET", [*FIELDS[:at], *fields, *FIELDS[at + 1 :]], 0)
            assert upgrade is not None
            self.assertIs(type(upgrade.fault), kind, fields)
        upgrade = requested_upgrade(b"POST", FIELDS, 0)
        assert upgrade is not None
        self.assertIs(type(upgrade.fault), BadRequest)

    @given(st.lists(st.tuples(st.sampled_from([b"Upgrade", b"Sec-WebSocket-Key"]), st.binary())))
    def test_anything(self, fields: list[tuple[bytes, bytes]]) -> None:
        """Never more than eight names, all of them well-formed."""
        upgrade = requested_upgrade(b"GET", fields, 0)
        if upgrade is not None:
            self.assertTrue(0 < len(upgrade.protocols) <= 8)
            self.assertTrue(all(name and b"," not in name for name in upgrade.protocols))


class ConnectTests(SynchronousTestCase):
    """Extended CONNECT (RFC 8441)."""

    VERSION: ClassVar = [(b"sec-websocket-version", b"13")]

    def test_websocket(self) -> None:
        """Without a key; the name without case, as of C{Upgrade}."""
        for name in (b"websocket", b"WebSocket"):
            upgrade = connect_upgrade(name, self.VERSION)
            self.assertEqual(upgrade.protocols, (b"websocket",))
            self.assertEqual((upgrade.key, upgrade.fault, upgrade.connects), (b"", None, True))

    def test_faults(self) -> None:
        for fields in ([], [(b"sec-websocket-version", b"8")], self.VERSION * 2):
            self.assertIs(type(connect_upgrade(b"websocket", fields).fault), UpgradeRequired)
        self.assertIsNone(connect_upgrade(b"connect-udp", []).fault)
        for name in (b"", b"a b", b"a/", b"a,b", b"a/b/c"):
            self.assertRaises(BadRequest, connect_upgrade, name, self.VERSION)

    def test_without_the_change_there_is_no_request(self) -> None:
        """What a site does not allow leaves nothing of it, but it stays one."""
        upgrade = connect_upgrade(b"websocket", self.VERSION)
        self.assertIs(upgrade.of(frozenset({b"websocket"})), upgrade)
        left = upgrade.of(frozenset({b"x"}))
        assert left is not None
        self.assertEqual((left.protocols, left.connects), ((), True))
        self.assertIsNone(left.agreed(frozenset({b"websocket"})))

    @given(st.binary())
    def test_a_key_is_one(self, request_id: bytes) -> None:
        upgrade = requested_upgrade(
            b"GET", [FIELDS[0], (b"sec-websocket-key", websocket_key(request_id)), FIELDS[2]], 0
        )
        assert upgrade is not None
        self.assertIsNone(upgrade.fault)


class AgreedTests(SynchronousTestCase):
    def test_the_clients_order_and_the_guests_spelling(self) -> None:
        upgrade = requested_upgrade(b"GET", [(b"upgrade", b"x, WebSocket, Y")], 0)
        assert upgrade is not None
        for tokens, agreed in (
            ({b"Y", b"websocket"}, b"websocket"),
            ({b"y"}, b"y"),
            ({b"X", b"WEBSOCKET"}, b"X"),
            ({b"z"}, None),
            (set(), None),
        ):
            self.assertEqual(upgrade.agreed(frozenset(tokens)), agreed)


class AllowedTests(SynchronousTestCase):
    """What a site lets through of an upgrade."""

    def test_some_of_them(self) -> None:
        """What is not allowed is not asked for; with nothing left it is a request without."""
        upgrade = requested_upgrade(b"GET", [(b"upgrade", b"x, websocket, y")], 0)
        assert upgrade is not None
        left = upgrade.of(frozenset({b"y", b"x", b"z"}))
        assert left is not None
        self.assertEqual((left.protocols, left.key), ((b"x", b"y"), upgrade.key))
        self.assertIs(upgrade.of(frozenset({b"x", b"y", b"websocket"})), upgrade)
        self.assertIsNone(upgrade.of(frozenset({b"z"})))

    def test_what_is_passed_through(self) -> None:
        """No client has asked for it, so none is told what it may."""
        self.assertIs(PASSTHROUGH.of(frozenset()), PASSTHROUGH)


class AcceptTests(SynchronousTestCase):
    def test_the_example(self) -> None:
        """RFC 6455 section 1.3."""
        self.assertEqual(
            websocket_accept(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        )
