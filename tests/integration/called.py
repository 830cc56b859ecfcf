"""
twistd, which counts the calls of Python functions, and writes their number down at SIGRTMIN.

Those of the names that C{CALLED_ONLY} has, or of all: among these are those that time makes.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from twisted.scripts.twistd import run

calls = [0]
only = frozenset(filter(None, os.environ.get("CALLED_ONLY", "").split(",")))


def count(frame: FrameType, event: str, argument: object) -> None:
    """See C{sys.setprofile}: what is compiled makes no events."""
    if event == "call" and (not only or frame.f_code.co_name in only):
        calls[0] += 1


def tell(number: int, frame: FrameType | None) -> None:
    """Append the number of calls so far to the file that C{CALLED} names."""
    with open(os.environ["CALLED"], "a") as file:
        file.write(f"{calls[0]}\n")


if __name__ == "__main__":
    signal.signal(signal.SIGRTMIN, tell)
    sys.setprofile(count)
    run()
