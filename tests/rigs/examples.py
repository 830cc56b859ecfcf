"""
How many examples a test tries, of hypothesis or of a corpus.

The unit tests are run twice, and searched once: under trial with all examples. Under pytest, where
branches are counted and everything takes twice as long, C{tools.testing} asks for a part of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

VARIABLE = "SUBPROXY_TEST_EXAMPLES"
"""The variable of the environment that has the part, as a divisor: 1 is all."""

_divisor = int(os.environ.get(VARIABLE, "1"))


def examples(count: int) -> int:
    """C{count}, or the part of it that is asked for."""
    return max(count // _divisor, 1)


def part_of(cases: Sequence[T]) -> Sequence[T]:
    """C{cases}, or so many of them that are asked for, evenly from all."""
    return cases[::_divisor]
