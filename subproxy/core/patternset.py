"""Which of many patterns match a text: RE2 sets that follow a changing table cheaply.

A set of RE2 can't be changed once it is compiled, and compiling 1,000 patterns takes
milliseconds. So this is a small log-structured index: new patterns wait in a short list that is
matched one by one, the list becomes a set when it is longer than `FRESH`, and sets of similar
size are merged. A storm of n registrations costs n log n altogether, and nothing at all before
the next match. What was removed is skipped, until half of a set is dead.

Only tame patterns (see :mod:`subproxy.core.tame`) share a set: one that makes
RE2's DFA grow without end would make the match slow for everybody, ten times as slow as it is
alone. The others are matched one by one. A set has a bounded program and bounded memory, so
there may be several; a pattern that no set takes is matched alone too.
"""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

import re2

from subproxy.core.pattern import MAX_MATCHED, Pattern, options

FRESH: Final = 16
"""Patterns that are matched one by one before they become a set."""

SET_PROGRAM: Final = 20_000
"""RE2 instructions of the patterns in one set."""

SET_MEMORY: Final = 8 * 1024 * 1024
"""Bytes that one set may use, most of it for the cache of its DFA."""

T = TypeVar("T")


class PatternSet(Generic[T]):
    """Patterns and a value for each, all of them with the same case rule."""

    __slots__ = ("_fresh", "_ignore_case", "_segments", "_values", "_wild")

    def __init__(self, *, ignore_case: bool = False) -> None:
        self._ignore_case = ignore_case
        self._values: dict[Pattern, T] = {}
        self._fresh: dict[Pattern, None] = {}
        """Tame patterns that are in no segment yet."""
        self._wild: dict[Pattern, None] = {}
        """Patterns that never will be."""
        self._segments: list[_Segment] = []

    def __len__(self) -> int:
        return len(self._values)

    def add(self, pattern: Pattern, value: T) -> None:
        """Add `pattern`, which is not in the set."""
        self._values[pattern] = value
        (self._fresh if pattern.tame else self._wild)[pattern] = None

    def discard(self, pattern: Pattern) -> None:
        """Remove `pattern`, which is in the set."""
        del self._values[pattern]
        for apart in (self._fresh, self._wild):
            if pattern in apart:
                del apart[pattern]
                return
        for at, segment in enumerate(self._segments):
            if pattern in segment.live:
                segment.live.discard(pattern)
                if len(segment.live) * 2 <= len(segment.patterns):
                    del self._segments[at]
                    self._fresh.update((p, None) for p in segment.patterns if p in segment.live)
                return

    def match(self, text: bytes) -> list[T]:
        """Return the values of all patterns that match the whole of `text`, in no order."""
        if len(self._fresh) > FRESH:
            self._compile()
        values = self._values
        found = [
            values[pattern]
            for apart in (self._fresh, self._wild)
            for pattern in apart
            if pattern.matches(text)
        ]
        for segment in self._segments:
            found += [values[pattern] for pattern in segment.match(text)]
        return found

    def _compile(self) -> None:
        patterns = list(self._fresh)
        self._fresh.clear()
        # Merge with what is not much larger, so that sets grow geometrically and stay few.
        while self._segments:
            last = self._segments[-1]
            if (
                len(last.live) > 2 * len(patterns)
                or _size(last.live) + _size(patterns) > SET_PROGRAM
            ):
                break
            patterns += [pattern for pattern in last.patterns if pattern in last.live]
            self._segments.pop()
        batch: list[Pattern] = []
        size = 0
        for pattern in patterns:
            if batch and size + _cost(pattern) > SET_PROGRAM:
                self._add_segments(batch)
                batch, size = [], 0
            batch.append(pattern)
            size += _cost(pattern)
        self._add_segments(batch)
        self._segments.sort(key=lambda segment: -len(segment.live))

    def _add_segments(self, patterns: list[Pattern]) -> None:
        """Compile `patterns` into one set, or by halves if RE2 says that it is too much."""
        compiled = _compile_set(patterns, self._ignore_case)
        if compiled is not None or len(patterns) == 1:
            self._segments.append(_Segment(patterns, compiled))
            return
        half = len(patterns) // 2
        self._add_segments(patterns[:half])
        self._add_segments(patterns[half:])


class _Segment:
    """One compiled set, and which of its patterns are still wanted."""

    __slots__ = ("compiled", "live", "patterns")

    def __init__(self, patterns: list[Pattern], compiled: Any) -> None:
        self.patterns = patterns
        self.live = set(patterns)
        self.compiled = compiled

    def match(self, text: bytes) -> list[Pattern]:
        live = self.live
        if self.compiled is None or len(text) > MAX_MATCHED:
            return [
                pattern for pattern in self.patterns if pattern in live and pattern.matches(text)
            ]
        patterns = self.patterns
        return [patterns[at] for at in self.compiled.Match(text) or () if patterns[at] in live]


def _cost(pattern: Pattern) -> int:
    """About as many instructions as a tame pattern has."""
    return len(pattern.source) + 4


def _size(patterns: list[Pattern] | set[Pattern]) -> int:
    return sum(map(_cost, patterns))


def _compile_set(patterns: list[Pattern], ignore_case: bool) -> Any:
    made = re2.Set.FullMatchSet(options(ignore_case=ignore_case, max_mem=SET_MEMORY))
    try:
        for pattern in patterns:
            made.Add(pattern.source)
        made.Compile()
    except re2.error:
        return None
    return made
