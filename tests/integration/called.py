"""twistd, which counts the calls of Python functions, and writes their number down at SIGRTMIN."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from twisted.scripts.twistd import run

calls = [0]


def count(frame: FrameType, event: str, argument: object) -> None:
    """See C{sys.setprofile}: what is compiled makes no events."""
    if event == "call":
        calls[0] += 1


def tell(number: int, frame: FrameType | None) -> None:
    """Append the number of calls so far to the file that C{CALLED} names."""
    with open(os.environ["CALLED"], "a") as file:
        file.write(f"{calls[0]}\n")


if __name__ == "__main__":
    signal.signal(signal.SIGRTMIN, tell)
    sys.setprofile(count)
    run()
