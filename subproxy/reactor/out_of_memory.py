"""
When there is no memory: who could not be served is lost, which may be many, and often.

To tell of each would take memory and a disk; to fail at telling must not end the reactor.
"""

from __future__ import annotations

from time import monotonic

from twisted.logger import Logger

from subproxy.core.access.log_limit import LogLimit


class OutOfMemoryHandler:
    """Tells of a lack of memory, but seldom."""

    _log = Logger()

    def __init__(self) -> None:
        self._limit = LogLimit(1)

    def __enter__(self) -> None:
        """As a context it ends what it is round: with a line instead of an exception."""

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> bool:
        if kind is not MemoryError:
            return False
        self.tell()
        return True

    def tell(self) -> None:
        """There was not enough memory for something."""
        held = self._limit.admit(monotonic())
        if held is None:
            return
        try:
            self._log.error("no memory: {times} times something failed", times=held + 1)
        except MemoryError:
            self._limit.held += held + 1


shortage = OutOfMemoryHandler()
"""That of this process."""
