"""Twisted's way to wait, by txaio's functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from txaio import tx

from guest.core.framework import Framework, FutureFunctions, framework_of

FUTURES: FutureFunctions = tx
"""txaio's functions for Deferreds: those that want no reactor."""


def twisted_framework(clock: Any) -> Framework:
    """
    Twisted's way to wait.

    @param clock: an L{IReactorTime}.
    """
    return framework_of(FUTURES, soon_of(clock))


def soon_of(clock: Any) -> Callable[[Callable[[], None]], object]:
    """L{Framework.soon} of a clock."""
    return lambda function: clock.callLater(0, function)
