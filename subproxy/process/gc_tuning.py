"""How often Python's collector of cyclic garbage runs."""

from __future__ import annotations

import gc

THRESHOLD = 10_000
"""Objects that may have been made, and not freed, between two looks at the youngest."""


def tune() -> None:
    """
    What is here now stays: never look at it again, and seldom at what comes.

    A look at the youngest takes about a millisecond at this threshold; at five times as much it
    takes five, and as much more memory waits for it.

    A full collection of Twisted's modules takes 20 ms in which nothing is served, and few
    objects of this program are in cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(THRESHOLD, 20, 50)
