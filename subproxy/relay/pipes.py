"""
Pipes for splicing: made large, and used again.

Bytes in a pipe are the kernel's memory, not ours. Where the kernel grants no larger pipe
(C{/proc/sys/fs/pipe-user-pages-soft} is used up), one of the usual size has to do.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass

SIZE = 1 << 18
"""
Bytes that a pipe should hold if it holds whole pages, of which it has so many slots.

A slot has a piece of memory as it lies in a socket's buffers: 1.4 kB as it may come from a network,
or up to 64 KiB. How many bytes are in a pipe is up to who fills it: L{subproxy.relay.flow}.
"""

KEPT = 32
"""So many pipes are kept that are not in use."""


@dataclass(slots=True, eq=False)
class Pipe:
    """
    One pipe, non-blocking.

    @ivar reading: the descriptor to read from.
    @ivar writing: the descriptor to write to.
    @ivar held: bytes that are in it.
    """

    reading: int
    writing: int
    held: int = 0

    def close(self) -> None:
        """Close both ends."""
        os.close(self.reading)
        os.close(self.writing)


class PipePool:
    """
    Gives pipes out and takes them back.

    @ivar out: how many are out.
    @ivar idle: those that are kept, empty.
    """

    def __init__(self, size: int = SIZE, kept: int = KEPT) -> None:
        self.out = 0
        self._size = size
        self._kept = kept
        self.idle: list[Pipe] = []

    def __len__(self) -> int:
        return len(self.idle)

    def take(self) -> Pipe:
        """
        An empty pipe.

        @raise OSError: there are no more descriptors.
        """
        if self.idle:
            pipe = self.idle.pop()
        else:
            reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            with contextlib.suppress(OSError):
                fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, self._size)
            pipe = Pipe(reading, writing)
        self.out += 1
        return pipe

    def give(self, pipe: Pipe) -> None:
        """Take C{pipe} back; with something in it, it is of no more use."""
        self.out -= 1
        if pipe.held or len(self.idle) >= self._kept:
            pipe.close()
        else:
            self.idle.append(pipe)

    def close(self) -> None:
        """Close those that are not out."""
        while self.idle:
            self.idle.pop().close()
