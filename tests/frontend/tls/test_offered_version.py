"""Which version of TLS a client offers, of real hellos and of such as nobody should send."""

from __future__ import annotations

import ssl

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.tls.offered_version import OLDEST, offered_version
from tests.frontend.tls.test_client_hello import hello, records


def made(legacy: int, *numbers: int, before: bytes = b"", told: bool = True) -> bytes:
    """A ClientHello with a list of versions, if that is C{told}, behind other extensions."""
    listed = b"".join(each.to_bytes(2, "big") for each in numbers)
    said = bytes([len(listed)]) + listed
    extensions = before
    if told:
        extensions += b"\x00\x2b" + len(said).to_bytes(2, "big") + said
    body = legacy.to_bytes(2, "big") + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00"
    body += len(extensions).to_bytes(2, "big") + extensions
    return records(b"\x01" + len(body).to_bytes(3, "big") + body, 200)


class OfferedVersionTests(SynchronousTestCase):
    def test_real(self) -> None:
        self.assertEqual(b"1.3", offered_version(hello("a.example")))
        self.assertEqual(b"1.2", offered_version(hello("a.example", ssl.TLSVersion.TLSv1_2)))

    def test_newest(self) -> None:
        """In any order, whatever else is offered: reserved numbers (GREASE), others to come."""
        for numbers, expected in (
            ((0x0303, 0x0304), b"1.3"),
            ((0x0A0A, 0x0305, 0x0303), b"1.2"),
            ((0x0302, 0x0301), b"1.1"),
            ((0xFAFA,), OLDEST),
            ((), OLDEST),
        ):
            self.assertEqual(expected, offered_version(made(0x0303, *numbers)))

    def test_without_a_list(self) -> None:
        """Then the old field counts, in which nothing newer than 1.2 can be offered."""
        for legacy, expected in (
            (0x0304, b"1.2"),
            (0x0303, b"1.2"),
            (0x0302, b"1.1"),
            (0x0301, b"1.0"),
            (0x0300, OLDEST),
        ):
            self.assertEqual(expected, offered_version(made(legacy, told=False)))

    def test_behind_others(self) -> None:
        """Encrypted ClientHello (RFC 9849) and GREASE among the extensions are passed over."""
        before = b"\x0a\x0a\x00\x00" + b"\xfe\x0d\x00\x03\x00\x01\x02"
        self.assertEqual(b"1.3", offered_version(made(0x0303, 0x0304, before=before)))

    @given(st.binary(max_size=300))
    def test_anything(self, rest: bytes) -> None:
        message = b"\x01" + len(rest).to_bytes(3, "big") + rest
        self.assertIn(offered_version(records(message, 200)), (b"1.0", b"1.1", b"1.2", b"1.3"))
