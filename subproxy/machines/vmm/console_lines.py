"""What a guest's console says: its last lines, and the few that tell how the machine fares.

The console is the guest's, who may write anything on it: lines are made printable and cut, few are
kept, and what they seem to tell is a reason for people, never a fact that decides.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final

from subproxy.core.printable import printable

KEPT: Final = 30
"""Lines."""

LONGEST: Final = 300
"""Bytes of a line that are kept."""

_COLOURS: Final = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_PANIC: Final = re.compile(r"(?:\[ *\d+\.\d+\] )?(Kernel panic - not syncing: .*)")
"""At the begin of a line only: an application may show what others have logged."""

_STATUS: Final = re.compile(r"subproxy-init: .*(the application ended with status \d+)")
_INIT: Final = re.compile(r"subproxy-init: \[ *\d+\.\d+\] ")
"""What init says has the seconds since the kernel has started."""

_UNPACKING: Final = re.compile(r"Initramfs unpacking failed.*")


class ConsoleLines:
    """
    The end of a console's output.

    @ivar panic: what the kernel said when it panicked, or empty.
    @ivar init: whether init has said something.
    @ivar status: what init said of the application's end, or empty.
    @ivar unpacking: what the kernel said of an initramfs that it could not read, or empty. It goes
        on with the files that it has, so what follows is confusing without this line.
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=KEPT)
        self._rest = b""
        self.init = False
        self.panic = ""
        self.status = ""
        self.unpacking = ""

    def feed(self, data: bytes) -> None:
        """Take what was written."""
        *lines, rest = (self._rest + data).split(b"\n")
        # Of a line without an end the first bytes are enough, however much comes.
        self._rest = rest[: LONGEST * 4]
        for line in lines:
            self._take(_shown(line))

    def last(self) -> tuple[str, ...]:
        """The last lines, the one that is being written included."""
        begun = _shown(self._rest)
        return (*self._lines, begun)[-KEPT:] if begun else tuple(self._lines)

    def restarted(self) -> None:
        """The machine has begun anew: what it said before counts no more, but is still shown."""
        self.panic = self.status = self.unpacking = ""
        self.init = False

    def _take(self, line: str) -> None:
        if not line:
            return
        self._lines.append(line)
        self.init = self.init or _INIT.match(line) is not None
        if found := _PANIC.match(line):
            self.panic = self.panic or found[1]
        elif found := _STATUS.search(line):
            self.status = found[1]
        elif found := _UNPACKING.search(line):
            self.unpacking = found[0]


def _shown(line: bytes) -> str:
    return printable(_COLOURS.sub(b"", line[: LONGEST * 4]).replace(b"\r", b"")[:LONGEST]).strip()
