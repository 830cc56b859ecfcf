"""Why a machine has ended, in words: of what its VMM, its console and its processes have told."""

from __future__ import annotations

from dataclasses import dataclass

from subproxy.machines.vmm.console_lines import ConsoleLines
from subproxy.signal_name import signal_name


@dataclass(frozen=True)
class ProcessEnd:
    """
    How one of the processes of a machine has ended.

    @ivar program: its name.
    @ivar status: its exit status; C{None} if a signal has ended it, or nobody knows.
    @ivar signal: the number of that signal, or C{None}.
    @ivar said: the last that it wrote to its standard error, printable, or empty.
    """

    program: str
    status: int | None
    signal: int | None
    said: str = ""

    def told(self) -> str:
        """All of it in a few words."""
        if self.signal is not None:
            how = f"{self.program} was ended by {signal_name(self.signal)}"
        elif self.status is not None:
            how = f"{self.program} has ended with status {self.status}"
        else:
            how = f"{self.program} has ended"
        return f"{how}: {self.said}" if self.said else how


def end_reason(end: ProcessEnd, *, shutdown: str, killed: str, console: ConsoleLines) -> str:
    """
    The reason, as an operator reads it: never empty.

    @param end: of the process that ended first.
    @param shutdown: what the VMM has told before; empty if nothing.
    @param killed: why it was killed by us; empty if it wasn't.
    """
    guest = [each for each in (console.panic, console.status, console.unpacking) if each]
    if killed:
        found = killed
    elif shutdown:
        found = shutdown
    elif end.status == 0 and console.panic:
        found = f"{end.program} has ended"
    else:
        found = end.told()
    return "; ".join([found, *guest])
