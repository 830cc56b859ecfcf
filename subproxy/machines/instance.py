"""One instance of a machine: its state, and the times that decisions are made by."""

from __future__ import annotations

from typing import Any, Final

from subproxy.machines.states import TRANSITIONS, InstanceState
from subproxy.machines.wake_times import WakeTimes

_KEPT: Final = (
    *("since", "began", "registered", "used", "busy", "asked", "routes", "told", "ending"),
    *("stale", "starts", "took", "run", "restores", "fingerprint"),
)
"""What the parent's next program has to know of an instance; times are those of the machine."""


class Instance:
    """
    See above.

    @ivar index: which of the machine's instances, from 0.
    @ivar since: when it came into its state.
    @ivar began: when its last start began.
    @ivar registered: when it registered after that; None if it has not.
    @ivar used: when it was last seen at work, or came up.
    @ivar busy: how many requests it had under way at the last look.
    @ivar asked: how many requests it had been given until then.
    @ivar routes: how many routes it serves now.
    @ivar told: all workers know that it is drained.
    @ivar ending: why it was told to end; empty if it was not.
    @ivar stale: what it runs by is no longer what is declared.
    @ivar starts: how often it was started.
    @ivar run: what its last start is called, which no other start ever was: random.
    @ivar restores: its last start goes on from a snapshot.
    @ivar fingerprint: of what its last start is of, where a snapshot may be made of it.
    @ivar took: seconds from its last start until it registered; None before.
    @ivar wake: where the time of its last start went.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.state = InstanceState.COLD
        self.since = 0.0
        self.began = 0.0
        self.registered: float | None = None
        self.used = 0.0
        self.busy = 0
        self.asked = 0
        self.routes = 0
        self.told = False
        self.ending = ""
        self.stale = False
        self.starts = 0
        self.took: float | None = None
        self.run = ""
        self.restores = False
        self.fingerprint = ""
        self.wake = WakeTimes()

    def move(self, state: InstanceState, now: float) -> None:
        """Come into C{state}."""
        self.state = TRANSITIONS.move(self.state, state)
        self.since = now

    def start(self, now: float, wanted: float | None = None) -> None:
        """Its VMM is being started; C{wanted}: since when somebody waits for it."""
        self.move(InstanceState.STARTING, now)
        self.began = now
        self.wake = WakeTimes(wanted, now)
        self.registered = None
        self.took = None
        self.routes = self.busy = self.asked = 0
        self.told = self.stale = self.restores = False
        self.run = self.fingerprint = ""
        self.ending = ""
        self.starts += 1

    def come_up(self, now: float) -> None:
        """It has registered."""
        self.move(InstanceState.UP, now)
        self.registered = now
        self.used = now
        self.took = now - self.began
        self.wake.reach("registered", now)

    def data(self) -> dict[str, Any]:
        """All of it but its index, to be written as JSON."""
        kept = {name: getattr(self, name) for name in _KEPT}
        return {**kept, "state": self.state.name, "wake": self.wake.data()}

    @classmethod
    def restored(cls, index: int, data: dict[str, Any]) -> Instance:
        """What L{data} has written."""
        found = cls(index)
        for name in _KEPT:
            if name in data:  # a program before this one may have known less
                setattr(found, name, data[name])
        found.state = InstanceState[data["state"]]
        found.wake = WakeTimes(**data.get("wake", {}))
        return found

    def __repr__(self) -> str:
        return f"<Instance {self.index} {self.state.name}>"
