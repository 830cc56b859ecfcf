"""Tests for L{guest.sidecar.upgrades}."""

from __future__ import annotations

from binascii import a2b_base64

from twisted.trial.unittest import SynchronousTestCase

from guest.sidecar.upgrades import parse_upgrade, upgrade_fields

HOST = (b"Host", b"blog.example")


class ParseTests(SynchronousTestCase):
    def test_names(self) -> None:
        for text, found in (("TCP", b"tcp"), ("SPDY/3.1", b"spdy/3.1"), ("a" * 32, b"a" * 32)):
            self.assertEqual(parse_upgrade(text), found)

    def test_what_is_none(self) -> None:
        for text in ("", "a b", "/", "a/", "/1", "a/1/2", "a,b", "b\xfccher", "a\n", "a" * 33):
            with self.assertRaisesRegex(ValueError, "no protocol"):
                parse_upgrade(text)


class KeyTests(SynchronousTestCase):
    """C{Sec-WebSocket-Key}, which no client of HTTP/2 sends."""

    def test_that_of_the_client(self) -> None:
        for protocol, fields in (
            (b"websocket", [HOST, (b"sec-webSocket-key", b"dGhlIHNhbXBsZSBub25jZQ==")]),
            (b"tcp", [HOST]),
        ):
            self.assertEqual(upgrade_fields(protocol, fields), fields)

    def test_one_of_our_own(self) -> None:
        host, (name, key) = upgrade_fields(b"websocket", [HOST])
        self.assertEqual((host, name, len(a2b_base64(key))), (HOST, b"Sec-WebSocket-Key", 16))
        self.assertNotIn((name, key), upgrade_fields(b"websocket", [HOST]))
