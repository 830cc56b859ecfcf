"""Bytes that are nearly those that somebody sends, very many a second."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

TOKENS = (
    *(b"\xbe", b"\xff\x00", b"\x20", b"\x3f\xe1\x1f", b"\x40\x00\x00", b"\x7f\x80\x01", b"\x82"),
    *(b"\x00", b"\xff\xff\xff\xff\x0f", b"\x80", b"\r\n", b": ", b"\x00\x00", b"HTTP/1.1", b"\xc0"),
)


class Mutator:
    """
    Inputs made of others, some 500,000 a second.

    @param inputs: at least one, none of them empty.
    """

    def __init__(self, chosen: Random, inputs: Sequence[bytes]) -> None:
        self._bits = chosen.getrandbits
        self._inputs = inputs

    def __call__(self) -> bytes:
        bits = self._bits(96)
        inputs = self._inputs
        data = inputs[(bits & 0xFFFF) % len(inputs)]
        at = (bits >> 16 & 0xFFFF) % (len(data) + 1)
        kind, more = bits >> 32 & 7, bits >> 35 & 0xFFFF
        if kind < 2:
            return data[:at] + bytes((more & 255,)) + data[at + 1 :]
        if kind == 2:
            return data[:at] + TOKENS[more % len(TOKENS)] + data[at + (more >> 8 & 1) :]
        if kind == 3:
            return data[:at] + data[at + 1 + more % 9 :] or data
        if kind == 4:
            return data[: at + 1]
        other = inputs[more % len(inputs)]
        begin = (bits >> 51 & 0xFFFF) % (len(other) + 1)
        if kind == 5:
            return data[:at] + other[begin:] or data
        if kind == 6:
            return data[:at] + other[begin : begin + (bits >> 67 & 31)] + data[at:]
        return data
