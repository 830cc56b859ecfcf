"""
The guard of work that must not begin again within itself: one mechanism for all who need it.

What is told of an event may answer it at once, and so come back to who told it, in the middle of
its loop. The call that comes back leaves what there is to the loop that is under way.
"""

from __future__ import annotations

from types import TracebackType


class ReentrancyGuard:
    """
    Whether some work is under way, in the calls below.

    Who may not begin again asks first, and returns::

        if self._guard.depth:
            return
        with self._guard:
            ...

    @ivar depth: how many calls of the work are under way; more than one only where it may nest.
    """

    __slots__ = ("depth",)

    def __init__(self) -> None:
        self.depth = 0

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.depth -= 1
