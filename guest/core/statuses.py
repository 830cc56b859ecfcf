"""How C{python -m guest} ends, and how it says why."""

from __future__ import annotations

import sys
from typing import TextIO

from guest.core.errors import SubscriptionReplaced

FAILED = 1
USAGE = 2
BAD_IMPORT = 3
REFUSED = 4
REPLACED = 5
NO_WORKER = 6


def ended_with(reason: BaseException) -> int:
    """The status of a program that does not dial again."""
    return REPLACED if isinstance(reason, SubscriptionReplaced) else REFUSED


def complain(text: str) -> None:
    """One line on stderr."""
    _print(f"guest: {text}", sys.stderr)


def announce(text: str) -> None:
    """One line on stdout, for people and for scripts that wait for it."""
    _print(text, sys.stdout)


def _print(line: str, to: TextIO) -> None:
    """Print a line, if that can be: a full disk, or a reader that is gone, is no reason to stop."""
    try:
        print(line, file=to, flush=True)
    except OSError:
        pass
