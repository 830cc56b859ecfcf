"""
When there is no memory: who could not be served is lost, which may be many, and often.

To tell of each would take memory and a disk; to fail at telling must not end the reactor.
"""

from __future__ import annotations

from time import monotonic

from twisted.logger import Logger

PAUSE = 1.0
"""Seconds from one line in the log to the next."""


class Shortage:
    """
    Tells of a lack of memory, but seldom.

    @ivar untold: how often there was none since the last line.
    """

    _log = Logger()

    def __init__(self) -> None:
        self.untold = 0
        self._told = float("-inf")

    def __enter__(self) -> None:
        """As a context it ends what it is round: with a line instead of an exception."""

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> bool:
        if kind is not MemoryError:
            return False
        self.tell()
        return True

    def tell(self) -> None:
        """There was not enough memory for something."""
        self.untold += 1
        now = monotonic()
        if now - self._told < PAUSE:
            return
        self._told = now
        try:
            self._log.error("no memory: {times} times something failed", times=self.untold)
            self.untold = 0
        except MemoryError:
            pass


shortage = Shortage()
"""That of this process."""
