"""
How many examples hypothesis tries.

The unit tests are run twice, and searched once: under trial with all examples. Under pytest, where
branches are counted and everything takes twice as long, C{tools.testing} asks for a part of them.
"""

from __future__ import annotations

import os

VARIABLE = "SUBPROXY_TEST_EXAMPLES"
"""The variable of the environment that has the part, as a divisor: 1 is all."""

_divisor = int(os.environ.get(VARIABLE, "1"))


def examples(count: int) -> int:
    """C{count}, or the part of it that is asked for."""
    return max(count // _divisor, 1)
