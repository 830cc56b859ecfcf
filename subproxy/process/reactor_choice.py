"""Which reactor the proxy runs on, when nobody said which."""

from __future__ import annotations

import sys
import time
from typing import Any

from subproxy import reactor as io_uring
from subproxy.reactor import compiled_epoll


def choose() -> str:
    """
    Install the best reactor that can be had, where none is installed yet.

    That is the one on io_uring, then the compiled one on epoll, then Twisted's own choice.

    @return: what was chosen and why, for the log.
    """
    if "twisted.internet.reactor" in sys.modules:
        chosen = type(sys.modules["twisted.internet.reactor"]).__name__
        return f"{chosen}, as it was asked for"
    reasons = []
    for name, candidate in (("io_uring", io_uring), ("compiled epoll", compiled_epoll)):
        reason = candidate.unavailable()
        if reason is None:
            try:
                candidate.install()
                break
            except Exception as error:
                reason = f"it could not be installed ({error})"
        reasons.append(f"{name} cannot be used: {reason}")
    from twisted.internet import reactor

    chosen = type(reactor).__name__
    return f"{chosen}, since {'; '.join(reasons)}" if reasons else chosen


def set_spin(reactor: Any, microseconds: float) -> bool:
    """
    Let C{reactor} look for events for so long before it sleeps.

    @return: whether it can: the one on io_uring does.
    """
    engine = getattr(reactor, "engine", None)
    if engine is None or not hasattr(engine, "spin"):
        return False
    engine.spin = microseconds / 1e6
    return True


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
