"""Tests of subproxy.frontend.http2.hpack and field_table."""

from __future__ import annotations

from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.http2.field_table import STATIC_TABLE
from subproxy.frontend.http2.hpack import (
    HpackDecoder,
    HpackError,
    encode_field,
    encode_fields,
    put_integer,
    read_integer,
)

MUCH = 1 << 20

NAMES = st.sampled_from([name for name, _ in STATIC_TABLE]) | st.binary(max_size=20)
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=60)), max_size=12)


def decode(block: bytes) -> list[tuple[bytes, bytes]] | None:
    return HpackDecoder().decode(block, MUCH, 1000)


class DecoderTests(SynchronousTestCase):
    def test_the_examples_of_the_rfc(self) -> None:
        """RFC 7541 section C.4: three requests, one after the other, with Huffman codes."""
        decoder = HpackDecoder()
        pseudo = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/")]
        host = (b":authority", b"www.example.com")
        for block, fields in (
            ("828684418cf1e3c2e5f23a6ba0ab90f4ff", [*pseudo, host]),
            ("828684be5886a8eb10649cbf", [*pseudo, host, (b"cache-control", b"no-cache")]),
            (
                "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
                [
                    (b":method", b"GET"),
                    (b":scheme", b"https"),
                    (b":path", b"/index.html"),
                    host,
                    (b"custom-key", b"custom-value"),
                ],
            ),
        ):
            self.assertEqual(decoder.decode(bytes.fromhex(block), MUCH, 100), fields)

    @given(st.lists(FIELDS, max_size=5), st.booleans())
    def test_what_another_encodes(self, lists: list, huffman: bool) -> None:
        """Blocks of another implementation, whose table goes along, are read back."""
        encoder, decoder = Encoder(), HpackDecoder()
        for fields in lists:
            block = encoder.encode(fields, huffman=huffman)
            self.assertEqual(decoder.decode(block, MUCH, 1000), fields)

    def test_too_large(self) -> None:
        """A list that is too large, or too long, is not kept; what it adds to the table is."""
        decoder = HpackDecoder()
        block = encode_fields([(b"a", b"x" * 50)] * 3) + b"\x40\x01b\x01c"
        self.assertIsNone(decoder.decode(block, 3 * 83, 100))
        self.assertEqual(decoder.decode(b"\xbe", MUCH, 100), [(b"b", b"c")])
        self.assertIsNone(decoder.decode(b"\xbe" * 3, MUCH, 2))
        self.assertIsNone(decoder.decode(b"\xbe" * 3, 101, 5))
        self.assertEqual(decoder.decode(b"\xbe" * 3, 102, 3), [(b"b", b"c")] * 3)

    def test_malformed(self) -> None:
        """What leads nowhere, is too long, or stands where it may not."""
        for block in (
            b"\x80",  # index 0
            b"\xbe",  # an entry that nobody added
            b"\xff",  # a number that does not end
            b"\x00\x05abc",  # a string that does not end
            b"\x00",
            b"\x00\x01a",
            b"\x00\x81\xff\x00",  # a code of padding alone
            b"\x82\x20",  # a size of the table behind a field
            b"\x3f\xe2\x1f",  # one of 4097 bytes
            b"\xff\x80\x80\x80\x80\x80\x80\x01",  # a number that is too long
            b"\xff\xff\xff\xff\xff\x7f",  # one that is too large
        ):
            self.assertRaises(HpackError, decode, block)

    def test_the_size_of_the_table(self) -> None:
        """The sender may shrink it, which forgets what does not fit; what is larger empties it."""
        decoder = HpackDecoder()
        decoder.decode(b"\x40\x01a\x01b\x40\x01c\x01d", MUCH, 100)
        self.assertEqual(decoder.decode(b"\xbf\xbe", MUCH, 9), [(b"a", b"b"), (b"c", b"d")])
        self.assertEqual(decoder.decode(b"\x3f\x03\xbe", MUCH, 9), [(b"c", b"d")])
        self.assertRaises(HpackError, decoder.decode, b"\xbf", MUCH, 9)
        decoder = HpackDecoder()
        decoder.decode(b"\x40\x01a\x01b", MUCH, 9)
        decoder.decode(b"\x40\x01a" + put_integer(7, 0, 4064) + b"x" * 4064, 8192, 9)
        self.assertRaises(HpackError, decoder.decode, b"\xbe", MUCH, 9)

    def test_integers(self) -> None:
        """RFC 7541 section C.1, and back."""
        self.assertEqual(put_integer(5, 0, 1337), b"\x1f\x9a\x0a")
        for number in (0, 30, 31, 127, 128, 1337, 0x7FFFFFFF):
            for bits in (4, 5, 6, 7):
                written = put_integer(bits, 0, number)
                self.assertEqual(read_integer(written, 0, bits), (number, len(written)))


class EncoderTests(SynchronousTestCase):
    @given(FIELDS)
    def test_what_another_decodes(self, fields: list) -> None:
        """Another implementation reads what is written, and its table stays empty."""
        decoder = Decoder(max_header_list_size=MUCH)
        decoded = decoder.decode(encode_fields(fields), raw=True)
        self.assertEqual([tuple(pair) for pair in decoded], fields)
        self.assertEqual(len(decoder.header_table.dynamic_entries), 0)

    def test_static(self) -> None:
        """What the static table has whole is one byte; secrets are never to be put into a table."""
        self.assertEqual(encode_field(b":status", b"200"), b"\x88")
        self.assertEqual(encode_field(b":status", b"201"), b"\x08\x03201")
        self.assertEqual(encode_field(b"date", b"x"), b"\x0f\x12\x01x")
        self.assertEqual(encode_field(b"set-cookie", b"a=b")[:1], b"\x1f")
