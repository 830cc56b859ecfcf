"""See _turn.pyx."""

from typing import Any

from subproxy.reactor._ring import Handle, Ring

class RingLoop(Ring):
    """A ring that is waited for."""

    alarms: int
    completions: int
    overflows: int
    spin: float
    @property
    def pending(self) -> bool: ...
    def wait(self, timeout: float | None) -> None: ...
    def run(self, reactor: Any) -> None: ...
    def handles(self) -> list[Handle]: ...
