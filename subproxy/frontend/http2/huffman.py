"""
The Huffman code of HPACK: RFC 7541 appendix B, and section 5.2.

The code is canonical, so that its lengths say all of it. It is read four bits at a time by a
table of states.

Compiled a second time: L{subproxy.fastpath._hpack} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

LENGTHS: Final = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c060a0a0c0d06080b0a0a080b08"
    "0606060505050606060606060607080f060c0a0d06070707070707070707070707070707070707070707070807"
    "080d130d0e060f05060506050606060507070606060506070605050607070707070f0b0e0d1c14161414161616"
    "171617171717171817181816171817171717151617161717181615141616171715171616181516171715151615"
    "1716171714161616171616171a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a1c1b1b1b14"
    "181415161515171616191918181a171a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a1e"
)
"""How many bits each byte has; and, the last one, the end of a string, which is never sent."""

EOS: Final = 256

PADDING = 7
"""Bits of padding that may stand behind the last code: the first ones of that of the end."""


class HuffmanError(ValueError):
    """A string is not in this code."""


class HuffmanStep(NamedTuple):
    """
    What four bits do in one state.

    @ivar state: the state behind them.
    @ivar symbol: the byte that they complete, or -1: no code is shorter than five bits.
    @ivar accepts: the string may end behind them.
    @ivar fails: they are in no code; the rest means nothing then.
    """

    state: int
    symbol: int
    accepts: bool
    fails: bool


def codes() -> list[int]:
    """The code of each symbol, as a number of its length."""
    found = [0] * len(LENGTHS)
    code = length = 0
    for symbol in sorted(range(len(LENGTHS)), key=lambda each: (LENGTHS[each], each)):
        code <<= LENGTHS[symbol] - length
        length = LENGTHS[symbol]
        found[symbol] = code
        code += 1
    return found


def _tree() -> list[list[int]]:
    """
    The code as a tree: for each inner node where a 0 and a 1 lead.

    To a node, by its number; or to a leaf, C{~symbol}.
    """
    nodes = [[0, 0]]
    for symbol, code in enumerate(codes()):
        at = 0
        for bit in range(LENGTHS[symbol] - 1, 0, -1):
            side = code >> bit & 1
            if not nodes[at][side]:
                nodes[at][side] = len(nodes)
                nodes.append([0, 0])
            at = nodes[at][side]
        nodes[at][code & 1] = ~symbol
    return nodes


@cache
def steps() -> list[tuple[HuffmanStep, ...]]:
    """For each state what each of the sixteen values of four bits does; made when it is wanted."""
    nodes = _tree()
    accepting = {0}
    at = 0
    for _ in range(PADDING):
        at = nodes[at][1]
        accepting.add(at)
    return [
        tuple(_step(nodes, accepting, state, bits) for bits in range(16))
        for state in range(len(nodes))
    ]


def _step(nodes: list[list[int]], accepting: set[int], state: int, bits: int) -> HuffmanStep:
    at, symbol = state, -1
    for bit in (3, 2, 1, 0):
        at = nodes[at][bits >> bit & 1]
        if at == ~EOS:
            return HuffmanStep(0, -1, False, True)
        if at < 0:
            at, symbol = 0, ~at
    return HuffmanStep(at, symbol, at in accepting, False)


def huffman_decode(data: bytes) -> bytes:
    """
    What C{data} stands for.

    @raise HuffmanError: it holds the end, or is padded with something else or with too much.
    """
    decoded = bytearray()
    table = steps()
    state, accepts = 0, True
    for byte in data:
        for bits in (byte >> 4, byte & 15):
            state, symbol, accepts, fails = table[state][bits]
            if fails:
                raise HuffmanError("the end of a string stands in a string")
            if symbol >= 0:
                decoded.append(symbol)
    if not accepts:
        raise HuffmanError("a string is padded wrongly")
    return bytes(decoded)
