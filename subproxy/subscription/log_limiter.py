"""
How much may be logged on behalf of one virtual machine.

A guest can cause lines as fast as it can dial or register: a disk must not fill, nor the
reactor spend its time on formatting, at its pleasure. Each identity has its own limit, so that
one that is loud silences nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger, LogLevel

from subproxy.core.access.log_limit import LINES, LogLimit
from subproxy.core.printable import printable

IDENTITIES = 4096
"""Identities that are remembered within one second; beyond, all are forgotten."""


class IdentityLogLimiter:
    """
    Logs for identities, so many lines a second each.

    @param now: monotonic seconds.
    @ivar held: lines that were dropped in all.
    """

    def __init__(self, now: Callable[[], float], lines: int = LINES) -> None:
        self._now = now
        self._lines = lines
        self._second = -1
        self._limits: dict[str, LogLimit] = {}
        self.held = 0

    def emit(self, log: Logger, level: Any, identity: str, text: str, **fields: object) -> None:
        """
        Log C{text}, in which C{identity} is a field, unless that one has said too much.

        Text, bytes and errors among C{fields} are made printable: a guest may have chosen them.
        """
        now = self._now()
        if int(now) != self._second or len(self._limits) > IDENTITIES:
            self._second = int(now)
            self._tell(log)
        limit = self._limits.get(identity)
        if limit is None:
            limit = self._limits[identity] = LogLimit(self._lines)
        if limit.admit(now) is None:
            self.held += 1
        else:
            shown = {name: _shown(value) for name, value in fields.items()}
            log.emit(level, text, identity=printable(identity), **shown)

    def _tell(self, log: Logger) -> None:
        """Begin anew, with a line for each of whom some were dropped."""
        limits, self._limits = self._limits, {}
        for identity, limit in limits.items():
            if limit.held:
                log.warn(
                    "{identity} caused {count} more lines, which are not logged",
                    identity=printable(identity),
                    count=limit.held,
                )


def _shown(value: object) -> object:
    if isinstance(value, bytes | str):
        return printable(value)
    return printable(str(value)) if isinstance(value, Exception) else value


INFO = LogLevel.info
WARN = LogLevel.warn
