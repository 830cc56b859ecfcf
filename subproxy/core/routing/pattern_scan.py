"""An upper bound of what RE2 has to do for a pattern, found without asking RE2.

RE2 parses before it says that a pattern is too large, and some small patterns cost it seconds:
classes of Unicode have hundreds of ranges, and repetitions copy what they repeat. So RE2 is asked
only about what this has read, and found small. One pass over at most 1,024 bytes.

The bound counts instructions of the program: one for each character, class element and operator,
times the repetitions around it. What is not valid is counted somehow; RE2 refuses it.
"""

from __future__ import annotations

import re
from typing import Final

from subproxy.core.routing.re2_syntax import WORD

MAX_NESTED: Final = 50
"""Parentheses inside each other."""

MAX_REPEATED: Final = 1000
"""What the counts of repetitions inside each other may come to; RE2 has the same limit."""

OVERHEAD: Final = 4
"""Instructions that every program has."""

_COUNT: Final = re.compile(rb"\{([0-9]{1,9})(,([0-9]{0,9}))?\}")
_AT_MOST: Final = re.compile(rb"\{,([0-9]{1,9})\}")
"""A repetition of Python's; to RE2 it is these characters, and matches nothing that we have."""
_FLAGS: Final = re.compile(rb"\(\?(?:P?<[^>)]*>|[a-zA-Z^-]*:)")
_FLAGS_ALONE: Final = re.compile(rb"\(\?[a-zA-Z^-]*\)")
_HEX: Final = re.compile(rb"\\x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))")
_OCTAL: Final = re.compile(rb"\\[0-7]{1,3}")
_NAME: Final = re.compile(rb"\[:\^?[a-z]+:\]")

NO_UNICODE: Final = (
    "hosts and paths are ASCII, so classes of Unicode such as \\pL have no use; "
    "write [A-Za-z] or [0-9]"
)
NO_OTHERS: Final = "hosts and paths are ASCII, so no character above \\x7F can match"


class PatternFault(ValueError):
    """A pattern that must not reach RE2; its text is the reason, for a person."""


class _Group:
    """What has been read between two parentheses: work, greatest count, the latest item."""

    __slots__ = ("count", "last", "last_count", "work")

    def __init__(self) -> None:
        self.work = 0
        self.count = 1
        self.last = 0
        self.last_count = 1

    def item(self, work: int, count: int = 1) -> None:
        """Take an item that an operator behind it would repeat."""
        self.work += work
        self.last = work
        self.last_count = count
        self.count = max(self.count, count)

    def operator(self, low: int, high: int, *, open_end: bool) -> None:
        """Repeat the latest item, C{high} times at the most, or if C{open_end} without end."""
        copies = max(high, 1)
        count = self.last_count * copies
        if count > MAX_REPEATED:
            raise PatternFault("a repetition may count to 1000, nested or not")
        added = self.last * (copies - 1) + 2 * (high - low) + 2 * open_end
        self.work += added
        self.last += added
        self.last_count = count
        self.count = max(self.count, count)


def scan(source: bytes, most: int, *, ignore_case: bool = False) -> tuple[int, bytes]:
    """Return the greatest number of instructions of C{source}, and the literal it must end with.

    The literal is empty where there is doubt, and in lower case if C{ignore_case}. Raises
    L{PatternFault} where the number is above C{most}, where a repetition counts too far or
    parentheses are nested too deep, and for characters beyond ASCII.
    """
    groups = [_Group()]
    tail = bytearray()
    doubtful = False  # what the pattern ends with
    at = 0
    while at < len(source):
        group = groups[-1]
        byte = source[at]
        if byte == 0x5C:
            literal, work, at = _escape(source, at)
            if literal is None:
                tail.clear()
                group.item(work)
            elif literal:
                tail += literal
                # Of \Q..\E an operator repeats the last character alone.
                group.work += work - 1
                group.item(1)
        elif byte == 0x5B:
            work, at = _class(source, at)
            group.item(work)
            tail.clear()
        elif byte == 0x28:
            tail.clear()
            alone = _FLAGS_ALONE.match(source, at)
            if alone is not None:
                # What follows, until its group ends, may match in either case.
                doubtful = doubtful or (b"i" in alone[0] and not ignore_case)
                at = alone.end()
                continue
            flags = _FLAGS.match(source, at)
            at = at + 1 if flags is None else flags.end()
            groups.append(_Group())
            if len(groups) > MAX_NESTED:
                raise PatternFault(f"parentheses may be nested {MAX_NESTED - 1} deep")
        elif byte == 0x29:
            tail.clear()
            at += 1
            if len(groups) > 1:
                groups.pop()
                groups[-1].item(group.work + 2, group.count)
        elif byte == 0x7C:
            doubtful = doubtful or len(groups) == 1
            group.work += 2
            at += 1
        elif byte in b"*+?":
            tail.clear()
            group.operator(0, 1, open_end=byte != 0x3F)
            at += 1
        elif byte == 0x7B and (counted := _COUNT.match(source, at)) is not None:
            tail.clear()
            low = int(counted[1])
            high = low if counted[2] is None else int(counted[3] or low + 1)
            group.operator(low, max(low, high), open_end=counted[3] == b"")
            at = counted.end()
        elif byte == 0x7B and (most_alone := _AT_MOST.match(source, at)) is not None:
            said, limit = most_alone[0].decode(), most_alone[1].decode()
            raise PatternFault(
                f"RE2 takes {said} for characters, not for a count; write {{0,{limit}}}"
            )
        elif byte == 0x24 and at + 1 == len(source):
            group.item(1)
            at += 1
        elif byte in b".^$":
            tail.clear()
            group.item(1)
            at += 1
        else:
            if byte >= 0x80:
                raise PatternFault(NO_OTHERS)
            tail.append(byte)
            group.item(1)
            at += 1
    work = OVERHEAD + sum(group.work for group in groups)
    if work > most:
        raise PatternFault(
            f"the pattern may compile to {work} instructions; at most {most} are allowed"
        )
    if doubtful or len(groups) > 1:
        return work, b""
    return work, bytes(tail.lower() if ignore_case else tail)


def _escape(source: bytes, at: int) -> tuple[bytes | None, int, int]:
    """Read what begins with a backslash: its text, if it is one, its work, where it ends."""
    byte = source[at + 1] if at + 1 < len(source) else 0
    if byte == 0x51:
        end = source.find(b"\\E", at + 2)
        text = source[at + 2 :] if end < 0 else source[at + 2 : end]
        if not text.isascii():
            raise PatternFault(NO_OTHERS)
        return text, len(text), len(source) if end < 0 else end + 2
    if byte == 0x45:
        return b"", 0, at + 2
    if byte in b"pP":
        raise PatternFault(NO_UNICODE)
    if (number := _HEX.match(source, at)) is not None:
        _check_character(int(number[1] or number[2], 16))
        return None, 1, number.end()
    if (number := _OCTAL.match(source, at)) is not None:
        _check_character(int(number[0][1:], 8))
        return None, 1, number.end()
    if byte >= 0x80:
        raise PatternFault(NO_OTHERS)
    if byte in WORD:
        return None, 6, at + 2
    return source[at + 1 : at + 2], 1, at + 2


def _check_character(code: int) -> None:
    """Refuse the character C{code} if no host and no path has it."""
    if code > 0x7F:
        raise PatternFault(NO_OTHERS)


def _class(source: bytes, at: int) -> tuple[int, int]:
    """Read a class in brackets: its work, and where it ends."""
    at += 1
    if source.startswith(b"^", at):
        at += 1
    work = 2
    first = True
    while at < len(source):
        byte = source[at]
        if byte == 0x5D and not first:
            return work, at + 1
        first = False
        if (name := _NAME.match(source, at)) is not None:
            work += 6
            at = name.end()
        elif byte == 0x5C:
            literal, _, at = _escape(source, at)
            work += 2 if literal is not None else 6
        elif byte >= 0x80:
            raise PatternFault(NO_OTHERS)
        else:
            work += 2
            at += 1
    return work, at
