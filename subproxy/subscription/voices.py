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

LINES = 10
"""Lines a second for each identity."""

IDENTITIES = 4096
"""Identities that are remembered within one second; beyond, all are forgotten."""


class Voices:
    """
    Logs for identities, so many lines a second each.

    @param now: monotonic seconds.
    @ivar held: lines that were dropped in all.
    """

    def __init__(self, now: Callable[[], float], lines: int = LINES) -> None:
        self._now = now
        self._lines = lines
        self._second = -1
        self._counts: dict[str, int] = {}
        self.held = 0

    def say(self, log: Logger, level: Any, identity: str, text: str, **fields: object) -> None:
        """Log C{text}, in which C{identity} is a field, unless that one has said too much."""
        second = int(self._now())
        if second != self._second or len(self._counts) > IDENTITIES:
            self._second = second
            loud = {each: count for each, count in self._counts.items() if count > self._lines}
            self._counts = {}
            for each, count in loud.items():
                log.warn(
                    "{identity} caused {count} more lines, which are not logged",
                    identity=each,
                    count=count - self._lines,
                )
        count = self._counts[identity] = self._counts.get(identity, 0) + 1
        if count <= self._lines:
            log.emit(level, text, identity=identity, **fields)
        else:
            self.held += 1


INFO = LogLevel.info
WARN = LogLevel.warn
