"""How C{python -m guest} ends, and how it says why."""

from __future__ import annotations

import sys

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
    print(f"guest: {text}", file=sys.stderr, flush=True)
