"""
What is held of a virtual machine, or for it: bytes that wait, over all of its connections.

Bodies wait under credit. All else that a guest can make us hold counts against its quota: what it
does not read, of a frame that is not complete, interim responses that a client does not take.
"""

from __future__ import annotations

from typing import Any


class BufferAccount:
    """
    The bytes of one identity.

    @ivar total: how many there are.
    """

    __slots__ = ("total",)

    def __init__(self) -> None:
        self.total = 0

    def __repr__(self) -> str:
        return f"<BufferAccount {self.total} bytes>"


class BufferPart:
    """
    What one holder has of them.

    @ivar size: how many bytes.
    """

    __slots__ = ("_held", "size")

    def __init__(self, held: BufferAccount) -> None:
        self._held = held
        self.size = 0

    def __repr__(self) -> str:
        return f"<BufferPart {self.size} of {self._held}>"

    def set(self, size: int) -> int:
        """Hold so many bytes from now on; returns how many the identity has in all."""
        held = self._held
        held.total += size - self.size
        self.size = size
        return held.total

    def add(self, size: int) -> int:
        """Hold so many more; returns how many the identity has in all."""
        return self.set(self.size + size)


def unsent(transport: Any) -> int | None:
    """How many bytes were written to C{transport} and wait; None if it does not tell."""
    waiting = getattr(transport, "waiting", None)
    if waiting is None and hasattr(transport, "_tempDataLen"):
        # Twisted's own: see twisted.internet.abstract.FileDescriptor.
        waiting = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
    return waiting
