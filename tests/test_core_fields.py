"""The tables are consistent, and llhttp draws the same lines where it draws any."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core import fields
from subproxy.frontend.head_parser import MessageParser, ParserError


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

    def test_phrases_are_ascii(self) -> None:
        for phrase in fields.PHRASES.values():
            self.assertTrue(phrase.isascii())
