"""
Keys of TLS sessions that several processes share: a client resumes its session at any of them.

RFC 5077 section 4, RFC 8446 section 4.6.1: whoever has a key can read what was said in a resumed
session of TLS 1.2, so that keys are in memory only, and go. One is given out for L{ROTATION}
seconds, and good for as long again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Final

from subproxy.frontend.tls.python_engine import RENEW

SIZE: Final = 80
"""Bytes of a key: its name, and those of AES-256 and of HMAC-SHA256."""

ROTATION: Final = RENEW


class TicketKeyRing:
    """
    See above.

    @param now: monotonic seconds, the same for all programs of this host.
    @param random: makes so many bytes that nobody can guess.
    """

    def __init__(
        self,
        now: Callable[[], float],
        left: Sequence[str | float] = (),
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """
        Prepare.

        @param left: what the former program has written with L{data}; nothing: there was none.
        """
        self._now = now
        self._random = random
        self._current, self._before, self._made = random(SIZE), b"", now()
        if left:
            keys, made = left
            found = str(keys).encode("latin-1")
            self._current, self._before, self._made = found[:SIZE], found[SIZE:], float(made)

    @property
    def keys(self) -> bytes:
        """The key that is given out, and the one before, if there is one."""
        return self._current + self._before

    def rotate(self) -> bool:
        """Let both be such as may be used now; whether they are others than before."""
        now = self._now()
        if now - self._made < ROTATION:
            return False
        # One that nobody has had for so long is not good any more.
        self._before = self._current if now - self._made < 2 * ROTATION else b""
        self._current = self._random(SIZE)
        self._made = now
        return True

    def data(self) -> list[str | float]:
        """What the next program has to know, to be written as JSON."""
        return [self.keys.decode("latin-1"), self._made]
