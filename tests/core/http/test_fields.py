"""The tables are consistent, and llhttp draws the same lines where it draws any."""

from __future__ import annotations

import ipaddress
from http import HTTPStatus

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http import fields
from subproxy.frontend.http1.head_parser import MessageParser, ParserError

RENAMED = {
    413: b"Content Too Large",
    414: b"URI Too Long",
    416: b"Range Not Satisfiable",
    422: b"Unprocessable Content",
    418: b"I'm a teapot",
}
"""By RFC 9110, as Python has them from 3.13 on."""

NOT_EXTENDED = 510


def accepts(head: bytes) -> bool:
    parser = MessageParser()
    try:
        parser.feed(head)
    except ParserError:
        return False
    return parser.complete


class TableTests(SynchronousTestCase):
    def test_names_are_in_lower_case_and_tokens(self) -> None:
        for name in fields.HOP_BY_HOP | fields.NOT_IN_TRAILERS | fields.FORWARDING_DROPPED:
            self.assertEqual(name, name.lower())
            self.assertEqual(name.translate(None, fields.TOKEN), b"")

    def test_character_tables_hold_each_byte_once(self) -> None:
        for table in (
            fields.TOKEN,
            fields.FIELD_VALUE,
            fields.TARGET,
            fields.PATH,
            fields.REG_NAME,
        ):
            self.assertEqual(len(table), len(set(table)))

    def test_nothing_that_ends_a_line_is_in_any_table(self) -> None:
        for table in (fields.TOKEN, fields.FIELD_VALUE, fields.TARGET, fields.REASON):
            self.assertFalse(set(table) & set(b"\r\n\0"))

    def test_field_names_are_what_llhttp_takes(self) -> None:
        for byte in range(256):
            name = b"X" + bytes((byte,)) + b"Y"
            taken = accepts(b"GET / HTTP/1.1\r\n" + name + b": a\r\n\r\n")
            if byte == ord(":"):
                continue
            self.assertEqual(taken, byte in fields.TOKEN, name)

    def test_field_values_are_what_llhttp_takes(self) -> None:
        for byte in range(256):
            value = b"a" + bytes((byte,)) + b"b"
            taken = accepts(b"GET / HTTP/1.1\r\nX: " + value + b"\r\n\r\n")
            self.assertEqual(taken, byte in fields.FIELD_VALUE, value)

    def test_llhttp_takes_every_target_that_the_gate_takes(self) -> None:
        for byte in fields.TARGET:
            self.assertTrue(accepts(b"GET /a" + bytes((byte,)) + b"b HTTP/1.1\r\n\r\n"), byte)

    def test_llhttp_knows_every_method_that_is_forwarded(self) -> None:
        for method in fields.METHODS:
            self.assertTrue(accepts(method + b" / HTTP/1.1\r\n\r\n"), method)

    def test_phrases_are_pythons_but_for_what_was_renamed(self) -> None:
        expected = {status.value: status.phrase.encode() for status in HTTPStatus} | RENAMED
        del expected[NOT_EXTENDED]
        self.assertEqual(fields.PHRASES, expected)

    def test_a_target_is_what_a_uri_may_hold(self) -> None:
        """And what browsers leave in it (RFC 3986 sections 2 and 3)."""
        unreserved = fields.ALPHANUMERIC + b"-._~"
        reserved = b":/?[]@!$&'()*+,;="
        left_in = b"\\^`{|}"
        self.assertEqual(set(fields.TARGET), set(unreserved + reserved + left_in + b"%"))
        self.assertEqual(set(fields.TARGET) - set(fields.PATH), set(b"?\\"))

    def test_hosts(self) -> None:
        self.assertEqual(set(fields.DIGITS), set(b"0123456789"))
        self.assertEqual(set(fields.IP_LITERAL), set(b"0123456789abcdefABCDEF:."))
        self.assertEqual(set(fields.REG_NAME), set(fields.ALPHANUMERIC + b"-._~"))
        # ipaddress reads what may stand there, and nothing else.
        ipaddress.ip_address("abcd:EF01:2345:6789::1.2.3.4")

    def test_nothing_about_framing_routing_or_the_form_of_a_body_comes_in_trailers(self) -> None:
        for apart in (
            fields.HOP_BY_HOP,
            fields.FRAMING,
            fields.FORWARDING,
            fields.FORWARDING_DROPPED,
            {b"host", b"cookie", b"set-cookie", b"authorization", b"cache-control", b"expect"},
            {b"content-type", b"content-encoding", b"content-range", b"trailer", b"x-request-id"},
        ):
            self.assertLessEqual(set(apart), fields.NOT_IN_TRAILERS)
        for wanted in b"digest", b"grpc-status", b"server-timing", b"etag":
            self.assertNotIn(wanted, fields.NOT_IN_TRAILERS)

    def test_methods_and_statuses(self) -> None:
        self.assertEqual(fields.METHODS_REFUSED, {b"CONNECT", b"TRACE"})
        self.assertFalse(fields.METHODS & fields.METHODS_REFUSED)
        self.assertEqual(fields.BODILESS, {204, 205, 304})

    def test_limits(self) -> None:
        """The longest body is what a signed 64-bit number can count; the others are documented."""
        self.assertEqual(fields.MAX_LENGTH, int.from_bytes(b"\x7f" + b"\xff" * 7, "big"))
        limits = fields.MAX_RESPONSE_FIELDS, fields.MAX_RESPONSE_HEAD, fields.MAX_REASON
        self.assertEqual(limits, (256, 64 * 1024, 256))

    def test_forwarding(self) -> None:
        for name in fields.FORWARDING | fields.FORWARDING_DROPPED:
            known = name.startswith(fields.FORWARDING_PREFIX)
            self.assertEqual(known, name.startswith(b"x-forwarded-"), name)
