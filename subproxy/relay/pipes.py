"""
Pipes for splicing: made large, and used again.

Bytes in a pipe are the kernel's memory, not ours. Where the kernel grants no larger pipe
(C{/proc/sys/fs/pipe-user-pages-soft} is used up), one of the usual size has to do.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass

SIZE = 1 << 18
"""
Bytes that a pipe should hold if it holds whole pages, of which it has so many slots.

A slot has a piece of memory as it lies in a socket's buffers: 1.4 kB as it may come from a network,
or up to 64 KiB. How many bytes are in a pipe is up to who fills it: L{subproxy.relay.flow}.
"""

LARGE = 1 << 19
"""
The same of the first pipes. What an upload brings lies in pieces that end anywhere, so that in a
pipe of 64 slots 256 KiB of it have no room, and it is filled and emptied once more. In pipes of 1
MiB large uploads cost the proxy less yet, and those at their ends more: what comes out of them is
no longer in the caches (benchmarks/performance-history.md).
"""

MANY = 16
"""
So many pipes are as large, of all processes together: with them an eighth of the pages that one
user may have in pipes. Who has used up those gets pipes of two slots.
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
    @ivar large: it is one of the L{MANY}.
    """

    reading: int
    writing: int
    held: int = 0
    large: bool = False

    def close(self) -> None:
        """Close both ends."""
        os.close(self.reading)
        os.close(self.writing)


class PipePool:
    """
    Gives pipes out and takes them back.

    @param size: bytes that a pipe should hold; and C{large} the first C{many} of them.
    @param kept: so many that are not in use are kept, and all that are large.
    @ivar out: how many are out.
    @ivar idle: those that are kept, empty, the large ones last: these are given out first.
    """

    def __init__(
        self, size: int = SIZE, kept: int = KEPT, large: int = LARGE, many: int = MANY
    ) -> None:
        self.out = 0
        self._size = size
        self._kept = kept
        self._large = large
        self._many = many
        self.idle: list[Pipe] = []

    def __len__(self) -> int:
        return len(self.idle)

    def take(self) -> Pipe:
        """
        An empty pipe.

        @raise OSError: there are no more descriptors.
        """
        pipe = self.idle.pop() if self.idle else self._make()
        self.out += 1
        return pipe

    def _make(self) -> Pipe:
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        pipe = Pipe(reading, writing)
        if self._many and _grown(writing, self._large):
            self._many -= 1
            pipe.large = True
        else:
            _grown(writing, self._size)
        return pipe

    def give(self, pipe: Pipe) -> None:
        """Take C{pipe} back; with something in it, it is of no more use."""
        self.out -= 1
        if pipe.held:
            self._many += pipe.large
            pipe.close()
        elif pipe.large:
            self.idle.append(pipe)
        elif len(self.idle) < self._kept:
            self.idle.insert(0, pipe)
        else:
            pipe.close()

    def close(self) -> None:
        """Close those that are not out."""
        while self.idle:
            pipe = self.idle.pop()
            self._many += pipe.large
            pipe.close()


def _grown(pipe: int, size: int) -> bool:
    """Whether the kernel grants this pipe so many bytes."""
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, size)
    except OSError:
        return False
    return True
