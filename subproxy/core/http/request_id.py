"""Request ids: a random prefix a process, and a counter."""

from __future__ import annotations

from random import SystemRandom

from subproxy.core.http.fields import ALPHANUMERIC

MAX_LENGTH = 128
"""Bytes of an id that is taken over from a trusted peer."""

ALLOWED = ALPHANUMERIC + b"-_.:/+=@"
"""What may stand in it."""


class RequestIds:
    """
    Makes ids such as C{b"9f3ac41be07d2a66-0000002a"}.

    The prefix has 64 bits of the system's randomness, so that nobody outside can guess an
    id of this process; ids of one process can be told from each other, and sorted.

    @ivar prefix: what stands before the dash.
    @ivar last: the number of the newest one.
    """

    __slots__ = ("_format", "last", "prefix")

    def __init__(self, prefix: bytes | None = None) -> None:
        self.prefix = SystemRandom().randbytes(8).hex().encode() if prefix is None else prefix
        self._format = self.prefix.replace(b"%", b"%%") + b"-%08x"
        self.last = 0

    def make(self) -> bytes:
        """A new id."""
        self.last += 1
        return self._format % self.last


def acceptable(value: bytes) -> bool:
    """Whether an id that a trusted peer sent can be used as it is."""
    return 0 < len(value) <= MAX_LENGTH and not value.translate(None, ALLOWED)
