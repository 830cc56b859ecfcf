"""Matching a simple pattern without a regex engine: each byte of the text is looked at once or
twice.

A simple pattern (see L{subproxy.core.routing.simple_pattern}) needs no automaton. What repeats
can be taken
greedily, because the next byte tells where it ends; and where it does not, what is left of the
pattern is one word at the end of the text. So a match is a few steps that are C each:
C{startswith}, C{endswith}, C{find} and C{translate}. Its cost does not depend on what other
patterns there are, and nothing has to be built and kept in memory for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from subproxy.core.routing.simple_pattern import ALL, Item

STEP: Final = 250
"""Nanoseconds of a step that takes a literal or one character, at the most."""

RUN: Final = 500
"""Nanoseconds to begin with a run of characters, at the most."""

LOOK: Final = 4
"""Nanoseconds of one byte in a run of a class of characters, at the most."""

_PIECE: Final = 128
"""Bytes of a run that are looked at in one go."""

_FEW: Final = 2
"""Characters that are looked for one by one."""

_BITS: Final = bytes.maketrans(b"01", b"\0\1")

_UPPER: Final = sum(1 << byte for byte in range(0x41, 0x5B))

MAX_STEPS: Final = 64
"""Steps of a pattern; a literal, however long, is one."""

Step = Callable[[bytes, int], int]
"""Takes a text and a place in it; returns the place behind what it took, -1 if it is not there."""


class SimpleMatcher:
    """Matches whole texts; with C{ignore_case} they are in lower case.

    C{tail} is what every text that matches ends with. C{cost} is the number of nanoseconds that a
    match may take, for a text of C{limit} bytes. C{steps} is their number.
    """

    __slots__ = ("_least", "_middle", "_steps", "cost", "steps", "tail")

    def __init__(self, items: list[Item], word: int, *, ignore_case: bool, limit: int) -> None:
        if ignore_case:
            items = [(mask & ~_UPPER, repeat) for mask, repeat in items]
        self._steps: list[Step] = []
        self._middle: Step | None = None
        looks = False
        runs = 0
        literal = bytearray()
        for mask, repeat in items[:word]:
            if not repeat and mask.bit_count() == 1:
                literal.append(mask.bit_length() - 1)
                continue
            if literal:
                self._steps.append(_literal(bytes(literal)))
                literal.clear()
            if repeat in (0, 0x3F):
                self._steps.append(_one(mask, least=int(not repeat)))
            else:
                step, look = _run(mask, least=int(repeat == 0x2B))
                self._steps.append(step)
                runs += 1
                looks = looks or look
        if literal:
            self._steps.append(_literal(bytes(literal)))
        if word < len(items):
            mask, repeat = items[word]
            self._middle, look = _run(mask, least=0)
            self._least = int(repeat == 0x2B)
            runs += 1
            looks = looks or look
            literal = bytearray(mask.bit_length() - 1 for mask, _ in items[word + 1 :])
        self.tail = bytes(literal)
        self.steps = len(self._steps)
        self.cost = STEP * (2 + len(self._steps)) + RUN * runs + LOOK * limit * looks

    def __call__(self, text: bytes) -> bool:
        """Tell whether C{text} matches from end to end."""
        if not text.endswith(self.tail):
            return False
        at = 0
        for step in self._steps:
            at = step(text, at)
            if at < 0:
                return False
        if self._middle is None:
            return at == len(text)
        end = len(text) - len(self.tail)
        return at + self._least <= end <= self._middle(text, at)


def _literal(literal: bytes) -> Step:
    size = len(literal)

    def step(text: bytes, at: int) -> int:
        return at + size if text.startswith(literal, at) else -1

    return step


@lru_cache(1024)
def _one(mask: int, *, least: int) -> Step:
    def step(text: bytes, at: int) -> int:
        if at < len(text) and mask >> text[at] & 1:
            return at + 1
        return -1 if least else at

    return step


@lru_cache(1024)
def _run(mask: int, *, least: int) -> tuple[Step, bool]:
    """Return a step that takes all that it can get, and whether it looks at byte after byte."""
    others = ALL & ~mask
    if others.bit_count() <= _FEW:
        ends = [byte.bit_length() - 1 for byte in (others & -others, others & (others - 1)) if byte]

        def find(text: bytes, at: int) -> int:
            end = len(text)
            for other in ends:
                found = text.find(other, at, end)
                if found >= 0:
                    end = found
            return end if end - at >= least else -1

        return find, False

    # A byte for each of the 256: 1 where the run ends.
    table = format(others, "0256b")[::-1].encode().translate(_BITS)

    def look(text: bytes, at: int) -> int:
        end = at
        while end < len(text):
            found = text[end : end + _PIECE].translate(table).find(b"\x01")
            if found >= 0:
                end += found
                break
            end += _PIECE
        end = min(end, len(text))
        return end if end - at >= least else -1

    return look, True
