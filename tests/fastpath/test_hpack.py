"""Tests of subproxy.fastpath._hpack: it reads and writes what the reference does."""

from __future__ import annotations

import random

from hpack import Encoder
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.http2.hpack import HpackDecoder, HpackError, IFieldDecoder
from subproxy.frontend.http2.hpack import encode_field as reference
from tests.frontend.http2.test_hpack import FIELDS, NAMES
from tests.rigs.examples import examples
from tests.rigs.hpack_blocks import some_blocks

try:
    from subproxy.fastpath._hpack import FastHpackDecoder, encode_field
except ImportError as error:
    MISSING: str | None = str(error)
else:
    MISSING = None


def outcome(decoder: IFieldDecoder, block: bytes, size: int, count: int) -> object:
    """What became of C{block}; from malformed on, the decoder is of no use."""
    try:
        return decoder.decode(block, size, count)
    except HpackError:
        return HpackError


def play(seed: int) -> None:
    """One connection: blocks of another implementation, some of them changed, to both."""
    chosen = random.Random(seed)
    mine, fast = HpackDecoder(), FastHpackDecoder()
    for block in some_blocks(chosen):
        size, count = chosen.choice((100, 4000, 100_000)), chosen.choice((3, 100))
        found = outcome(mine, block, size, count)
        again = outcome(fast, block, size, count)
        assert found == again, (seed, block, found, again)
        if found is HpackError:
            break


class HpackTests(SynchronousTestCase):
    if MISSING:
        skip = MISSING

    def test_any_block(self) -> None:
        """The same fields, or the same refusal, whatever comes; and the same table behind it."""
        for seed in range(examples(3000)):
            play(seed)

    @given(st.lists(FIELDS, max_size=5), st.booleans())
    def test_what_another_encodes(self, lists: list, huffman: bool) -> None:
        """Blocks of another implementation, whose table goes along, are read back."""
        encoder, decoder = Encoder(), FastHpackDecoder()
        for fields in lists:
            block = encoder.encode(fields, huffman=huffman)
            self.assertEqual(decoder.decode(block, 1 << 20, 1000), fields)

    @given(NAMES, st.binary(max_size=300))
    def test_any_field(self, name: bytes, value: bytes) -> None:
        """It is written as by the reference."""
        self.assertEqual(encode_field(name, value), reference(name, value))
