"""Python's collector of cyclic garbage, while a guest starts."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_usual = gc.get_threshold()


@contextmanager
def resting() -> Iterator[None]:
    """
    Look for no garbage in here, until L{begin_collecting}: a twentieth of the time of a start.

    Nothing of what an import makes is garbage, but each class is in a cycle, so that collecting
    looks at all of them again and again. It is not switched off: an application that does that, or
    says when it collects, when it is imported, is to find it so afterwards.
    """
    gc.set_threshold(0)
    try:
        yield
    finally:
        _collect_as_usual()


def begin_collecting() -> None:
    """What was imported stays, and no collection need look at it; what comes now is looked at."""
    gc.freeze()
    _collect_as_usual()


def _collect_as_usual() -> None:
    if not gc.get_threshold()[0]:
        gc.set_threshold(*_usual)
