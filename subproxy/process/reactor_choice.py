"""Which reactor the proxy runs on, when nobody said which."""

from __future__ import annotations

import sys
import time
from typing import Any

from subproxy import reactor as io_uring


def choose() -> str:
    """
    Install the io_uring reactor, where it can be had and no reactor is installed yet.

    @return: what was chosen and why, for the log.
    """
    if "twisted.internet.reactor" in sys.modules:
        chosen = type(sys.modules["twisted.internet.reactor"]).__name__
        return f"{chosen}, as it was asked for"
    reason = io_uring.unavailable()
    if reason is None:
        try:
            return type(io_uring.install()).__name__
        except Exception as error:
            reason = f"it could not be installed ({error})"
    from twisted.internet import reactor

    return f"{type(reactor).__name__}, since io_uring cannot be used: {reason}"


def make_monotonic(reactor: Any) -> None:
    """
    Let C{reactor} count by the monotonic clock.

    Twisted's reactors go by the time of day, so that a clock that is set forward fires every
    timer at once (all pings would be late, all subscribers ejected), and one that is set back
    stops them all.
    """
    shift = time.monotonic() - reactor.seconds()
    for call in reactor.getDelayedCalls():
        call.time += shift
        call.seconds = time.monotonic
    reactor.seconds = time.monotonic
