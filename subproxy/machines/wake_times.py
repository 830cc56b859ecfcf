"""Where the time of a start goes: from the request that wants it to the first byte of an answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Final

PHASES: Final = {
    "decide": "began",
    "spawn": "booting",
    "kernel": "init",
    "init": "greeted",
    "register": "registered",
    "first_byte": "answered",
}
"""Each phase, and the moment that it ends at; it begins at the latest one before that is known."""


@dataclass
class WakeTimes:
    """
    Moments of one start, in seconds of the monotonic clock; C{None}: it is not known.

    @ivar wanted: the first request that waits for it has come; unknown if nobody waited.
    @ivar began: it was decided that it starts.
    @ivar booting: its VMM runs, and was told to let the kernel run.
    @ivar init: its init has said something; unknown where that is none of ours.
    @ivar greeted: an application in it has greeted the proxy.
    @ivar registered: it has registered what it serves.
    @ivar answered: the first byte of the first answer to a request that has waited has come.
    """

    wanted: float | None = None
    began: float | None = None
    booting: float | None = None
    init: float | None = None
    greeted: float | None = None
    registered: float | None = None
    answered: float | None = None

    def reach(self, moment: str, now: float) -> None:
        """That moment has come, unless it has come before."""
        if getattr(self, moment) is None:
            setattr(self, moment, now)

    def seconds(self, phase: str) -> float | None:
        """How long a phase took; C{None} if its end is not known, or nothing before it."""
        end = getattr(self, PHASES[phase])
        names = [each.name for each in fields(self)]
        moments = [getattr(self, each) for each in names[: names.index(PHASES[phase])]]
        # What is told by different processes may come in another order.
        before = max((each for each in moments if each is not None), default=None)
        return None if end is None or before is None else max(0.0, end - before)

    def split(self) -> dict[str, float | None]:
        """All phases."""
        return {each: self.seconds(each) for each in PHASES}

    def data(self) -> dict[str, Any]:
        """All of it, to be written as JSON."""
        return asdict(self)
