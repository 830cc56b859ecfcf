"""Python's collector of cyclic garbage, while a guest starts."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def resting() -> Iterator[None]:
    """
    Look for no garbage in here, until L{begin_collecting}: a twentieth of the time of a start.

    Nothing of what an import makes is garbage, but each class is in a cycle, so that collecting
    looks at all of them again and again.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def begin_collecting() -> None:
    """What was imported stays, and no collection need look at it; what comes now is looked at."""
    gc.freeze()
    gc.enable()
