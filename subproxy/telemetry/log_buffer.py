"""Lines of the access log that wait to be written."""

from __future__ import annotations

from typing import Protocol


class LogBuffer(Protocol):
    """What the log keeps its lines in: L{ILogBuffer}, or its twin of the compiled path."""

    def append(self, line: bytes) -> int:
        """Take one whole line; return how many bytes wait."""
        ...

    def take(self) -> tuple[bytes, int]:
        """All that waits, and how many lines that is."""
        ...


class ILogBuffer:
    """See L{LogBuffer}."""

    __slots__ = ("_lines", "_size")

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._size = 0

    def append(self, line: bytes) -> int:
        """Take one whole line; return how many bytes wait."""
        self._lines.append(line)
        self._size += len(line)
        return self._size

    def take(self) -> tuple[bytes, int]:
        """All that waits, and how many lines that is."""
        lines, self._lines = self._lines, []
        self._size = 0
        return b"".join(lines), len(lines)
