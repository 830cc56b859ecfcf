"""Blocks of HPACK that another implementation has encoded, and what somebody makes of them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from hpack import Encoder


def some_blocks(chosen: random.Random) -> Iterator[bytes]:
    """Those of one connection, some of them changed."""
    encoder = Encoder()
    pairs = [(b":path", b"/"), (b"x", b""), (b"cookie", b"a=b"), (b"n" * 70, b"v" * 3000)]
    for _ in range(chosen.randrange(1, 6)):
        fields = [chosen.choice(pairs) for _ in range(chosen.randrange(8))]
        fields.append(
            (chosen.randbytes(chosen.randrange(9)), chosen.randbytes(chosen.choice((3, 90))))
        )
        block = encoder.encode(fields, huffman=chosen.random() < 0.5)
        yield hostile(chosen, block) if chosen.random() < 0.6 else block


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
