"""Tests of subproxy.frontend.http2.huffman."""

from __future__ import annotations

from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.http2.huffman import LENGTHS, HuffmanError, codes, huffman_decode


class HuffmanTests(SynchronousTestCase):
    def test_the_code_of_the_rfc(self) -> None:
        """Lengths and codes are those of RFC 7541 appendix B, as hpack has them."""
        self.assertEqual(list(LENGTHS), list(REQUEST_CODES_LENGTH))
        self.assertEqual(codes(), list(REQUEST_CODES))

    def test_the_examples_of_the_rfc(self) -> None:
        """RFC 7541 section C.4."""
        for coded, text in (
            ("f1e3c2e5f23a6ba0ab90f4ff", b"www.example.com"),
            ("a8eb10649cbf", b"no-cache"),
            ("25a849e95ba97d7f", b"custom-key"),
        ):
            self.assertEqual(huffman_decode(bytes.fromhex(coded)), text)

    @given(st.binary(max_size=200))
    def test_what_another_encodes(self, text: bytes) -> None:
        """Whatever another implementation encodes is read back."""
        encoder = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
        self.assertEqual(huffman_decode(encoder.encode(text)), text)

    def test_padding(self) -> None:
        """Padding is ones, and at most seven of them; the end of a string is never sent."""
        self.assertEqual(huffman_decode(b""), b"")
        for wrong in (b"\x18", b"\x1f\xff", b"\xff", b"\xff\xff\xff\xff", b"\xff\xff\xff\xfc"):
            self.assertRaises(HuffmanError, huffman_decode, wrong)
