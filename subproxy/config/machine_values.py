"""Readers of the values of a C{[[machine]]}; each raises C{ValueError} with a reason to show."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Final

from subproxy.core.access.policy import parse_size

_MIDDLE: Final = "[a-z0-9-]{0,29}"
NAME_PATTERN: Final = (
    f"^([a-z0-9]([a-z0-9-]{{0,30}}[a-z0-9])?|([a-z0-9]{_MIDDLE})?\\{{1\\}}({_MIDDLE}[a-z0-9])?)$"
)
SIZE_PATTERN: Final = "^[0-9]+ *(B|K|M|G|KiB|MiB|GiB)?$"
DURATION_PATTERN: Final = "^[0-9]+(\\.[0-9]+)? *(ms|s|m|h|d)?$"

_NAME: Final = re.compile(NAME_PATTERN)
_SIZE: Final = re.compile(r"([0-9]{1,15}) *(B|K|M|G|KiB|MiB|GiB)?")
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) *(ms|s|m|h|d)?")
_UNITS: Final = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

LEAST_MEMORY: Final = 16 << 20
MOST_MEMORY: Final = 1 << 40
LEAST_CONSOLE: Final = 4096
MOST_CONSOLE: Final = 1 << 30
LONGEST_IDLE: Final = 365 * 86400.0


def text(value: object) -> str:
    """A string that says something, without what ends one in C."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("a string is needed, in quotes")
    return value


def name(value: object) -> str:
    """The name of a machine, which becomes one of a folder; or of a template, with C{{1}}."""
    found = text(value)
    if not _NAME.fullmatch(found):
        raise ValueError("small letters, digits and dashes between them are needed, at most 32")
    return found


def one_of(words: Sequence[str]) -> Callable[[object], str]:
    """What reads one of a few words."""

    def read(value: object) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)} is needed")
        return str(value)

    return read


def path(value: object) -> str:
    """A path, which the reader of the file makes absolute."""
    return text(value)


def texts(value: object) -> tuple[str, ...]:
    """Strings, perhaps none."""
    if not isinstance(value, list) or not all(
        isinstance(each, str) and "\0" not in each for each in value
    ):
        raise ValueError("a list of strings is needed")
    return tuple(value)


def command(value: object) -> tuple[str, ...]:
    """A program and its arguments."""
    found = texts(value)
    if not found or not found[0]:
        raise ValueError("a program and its arguments are needed, as a list of strings")
    return found


def environment(value: object) -> dict[str, str]:
    """Variables by name."""
    if not isinstance(value, dict) or not all(
        isinstance(each, str) and "\0" not in each for each in value.values()
    ):
        raise ValueError("a table of strings is needed")
    for key in value:
        if not key or "=" in key or "\0" in key:
            raise ValueError(f"{key!r} is no name of a variable")
    return dict(value)


def _size(value: object, low: int, high: int, what: str) -> int:
    found: object = value
    if isinstance(value, str):
        known = _SIZE.fullmatch(value)
        unit = known[2] or "" if known else ""
        found = (
            parse_size(known[1] + (unit + "iB" if unit in ("K", "M", "G") else unit))
            if known
            else None
        )
    if type(found) is not int or not low <= found <= high:
        raise ValueError(f"bytes or a size such as {what} is needed, {low} to {high} bytes")
    return found


def memory(value: object) -> int:
    """Bytes of a guest; C{M} stands for C{MiB}."""
    return _size(value, LEAST_MEMORY, MOST_MEMORY, '"256M"')


def console(value: object) -> int:
    """Bytes of a console's file."""
    return _size(value, LEAST_CONSOLE, MOST_CONSOLE, '"1 MiB"')


def duration(low: float, high: float) -> Callable[[object], float]:
    """What reads seconds of that range: a number, or such as C{5m}."""

    def read(value: object) -> float:
        found = math.nan
        if isinstance(value, str):
            known = _DURATION.fullmatch(value)
            found = float(known[1]) * _UNITS[known[2]] if known else math.nan
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found = float(value)
        if not low <= found <= high:
            raise ValueError(
                f'seconds from {low:g} to {high:g}, or such as "5m" or "500ms", are needed'
            )
        return found

    return read


_idle: Final = duration(0.0, LONGEST_IDLE)


def idle(value: object) -> float | None:
    """Seconds; None for never."""
    return None if value is False else _idle(value)
