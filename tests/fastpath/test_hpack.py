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


def hostile(chosen: random.Random, block: bytes) -> bytes:
    """C{block} with some bytes changed, moved or gone."""
    changed = bytearray(block)
    for _ in range(chosen.randrange(4)):
        at = chosen.randrange(len(changed) + 1)
        what = chosen.randrange(4)
        if what == 0 and at < len(changed):
            changed[at] ^= 1 << chosen.randrange(8)
        elif what == 1:
            del changed[at : at + chosen.randrange(1, 4)]
        elif what == 2:
            changed[at:at] = chosen.randbytes(chosen.randrange(1, 5))
        else:
            changed[at:at] = chosen.choice(
                (b"\xbe", b"\xff\x00", b"\x20", b"\x3f\xe1\x1f", b"\x40\x00\x00", b"\x7f\x80\x01")
            )
    return bytes(changed)


def play(seed: int) -> None:
    """One connection: blocks of another implementation, some of them changed, to both."""
    chosen = random.Random(seed)
    encoder, mine, fast = Encoder(), HpackDecoder(), FastHpackDecoder()
    pairs = [(b":path", b"/"), (b"x", b""), (b"cookie", b"a=b"), (b"n" * 70, b"v" * 3000)]
    for _ in range(chosen.randrange(1, 6)):
        fields = [chosen.choice(pairs) for _ in range(chosen.randrange(8))]
        fields.append(
            (chosen.randbytes(chosen.randrange(9)), chosen.randbytes(chosen.choice((3, 90))))
        )
        block = encoder.encode(fields, huffman=chosen.random() < 0.5)
        if chosen.random() < 0.6:
            block = hostile(chosen, block)
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
        for seed in range(3000):
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
