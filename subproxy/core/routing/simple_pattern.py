"""Is a pattern cheap to match whatever the text, also in a set with many others?

RE2 matches with a DFA that it builds as it goes. For some patterns (C{.*a.{20}}) almost every
byte of a hostile text needs a new state, which costs as much as the program is long; in a set
it costs everybody. So sets hold only patterns of which this cannot happen, the *simple* ones.

A pattern is simple if it is a sequence of single characters, classes and dots, each perhaps with
C{*}, C{+} or C{?}, without groups, alternatives and counts, and

- one can always tell from the next byte whether a repetition goes on or what follows it has
  begun (C{/users/[0-9]+/posts/[a-z-]+}): then the automaton is at one place at a time; or
- after the only repetition of which one cannot tell, there are single characters alone
  (C{.*\\.blog\\.example}): then it is a search for a word.

Whatever this does not understand is not simple.
"""

from __future__ import annotations

from typing import Final

from subproxy.core.routing.re2_syntax import META, WORD

ALL: Final = (1 << 256) - 1
"""Every character."""
_REPEATS: Final = b"*+?"


def _mask(characters: bytes) -> int:
    """Return the set of C{characters} as bits."""
    made = 0
    for byte in characters:
        made |= 1 << byte
    return made


_UPPER: Final = _mask(bytes(range(0x41, 0x5B)))
_LOWER: Final = _mask(bytes(range(0x61, 0x7B)))

_NAMED: Final[dict[int, int]] = {}
for _name, _characters in (
    (b"d", b"0123456789"),
    (b"w", b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"),
    (b"s", b"\t\n\f\r "),
):
    _NAMED[_name[0]] = _mask(_characters)
    _NAMED[_name.upper()[0]] = ALL & ~_mask(_characters)

Item = tuple[int, int]
"""What a place in a pattern matches, as 256 bits, and its repetition: 0, or one of C{*+?}."""


def is_simple(source: bytes, *, ignore_case: bool = False) -> bool:
    """Tell whether the valid pattern C{source} is simple."""
    items = parse(source, ignore_case=ignore_case)
    return items is not None and search(items, ignore_case) is not None


def search(items: list[Item], ignore_case: bool) -> int | None:
    """Return where in a simple pattern the search for a word begins, None if it is not simple.

    It is the index of the repetition before the word, or the number of items if there is none.
    """
    after = _following(items)
    for at, (mask, repeat) in enumerate(items):
        if repeat and mask & after[at]:
            word = all(
                not again and _is_single(other, ignore_case) for other, again in items[at + 1 :]
            )
            return at if repeat != 0x3F and word else None
    return len(items)


def _is_single(mask: int, ignore_case: bool) -> bool:
    """Tell whether C{mask} is one character, with C{ignore_case} perhaps in both cases."""
    return mask.bit_count() == 1 or (ignore_case and mask == fold(mask & -mask))


def parse(source: bytes, *, ignore_case: bool = False) -> list[Item] | None:
    """Return the places of a pattern, or None if it is more than a sequence of them.

    With C{ignore_case} a letter stands for both of its cases, and so does one that a class
    excludes; what is not ASCII is not understood then.
    """
    if ignore_case and not source.isascii():
        return None
    items: list[Item] = []
    at = 1 if source.startswith(b"^") else 0
    while at < len(source):
        byte = source[at]
        if byte == 0x24 and at + 1 == len(source):
            break
        if byte == 0x5B:
            found = _class(source, at, ignore_case)
        elif byte == 0x2E:
            found = ALL, at + 1
        else:
            found = _single(source, at)
        if found is None:
            return None
        mask, at = found
        if ignore_case:
            mask = fold(mask)
        repeat = 0
        if at < len(source) and source[at] in _REPEATS:
            repeat = source[at]
            at += 1
        items.append((mask, repeat))
    return items


def _following(items: list[Item]) -> list[int]:
    """Return what may come behind each item: also what is further on, if it may be left out."""
    after = [0] * len(items)
    mask = 0
    for at in range(len(items) - 1, -1, -1):
        after[at] = mask
        other, repeat = items[at]
        mask = other if repeat in (0, 0x2B) else mask | other
    return after


def _single(source: bytes, at: int) -> tuple[int, int] | None:
    """Read one character, escaped or not, or a named class."""
    byte = source[at]
    if byte != 0x5C:
        return None if byte in META else (1 << byte, at + 1)
    if at + 1 >= len(source):
        return None
    byte = source[at + 1]
    if byte in _NAMED:
        return _NAMED[byte], at + 2
    return None if byte in WORD or byte >= 0x80 else (1 << byte, at + 2)


def _class(source: bytes, at: int, ignore_case: bool) -> tuple[int, int] | None:
    """Read a class in brackets."""
    at += 1
    negated = source.startswith(b"^", at)
    if negated:
        at += 1
    mask = 0
    first = True
    while at < len(source):
        byte = source[at]
        if byte == 0x5D and not first:
            if ignore_case:
                mask = fold(mask)
            return (ALL & ~mask if negated else mask), at + 1
        first = False
        if byte == 0x5C:
            found = _single(source, at)
            if found is None:
                return None
            low, at = found
        elif byte in b"[]^-" and not source.startswith(b"-]", at):
            # A nested name, or one of the subtleties of where these may stand.
            return None
        else:
            low, at = 1 << byte, at + 1
        if source.startswith(b"-", at) and not source.startswith(b"-]", at):
            if low.bit_count() != 1 or at + 1 >= len(source) or source[at + 1] in b"\\[]^-":
                return None
            high = 1 << source[at + 1]
            if high < low:
                return None
            mask |= (high << 1) - low
            at += 2
        else:
            mask |= low
    return None


def fold(mask: int) -> int:
    """Return C{mask} with both cases of every ASCII letter in it."""
    return mask | (mask & _UPPER) << 32 | (mask & _LOWER) >> 32
