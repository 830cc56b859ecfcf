"""Who had a request of the compiled path before, and has it no more."""

from __future__ import annotations

from typing import NamedTuple

from subproxy.core.balancing.member import Member


class EarlierAttempts(NamedTuple):
    """
    See above; the same of an L{Exchange<subproxy.core.exchange.Exchange>} has the same names.

    @ivar tried: the members that have failed it, though they are there.
    @ivar taken_from: all that had it, one after the other.
    @ivar guest: seconds that those had it.
    """

    tried: tuple[Member, ...] = ()
    taken_from: tuple[Member, ...] = ()
    guest: float = 0.0

    def and_of(self, member: Member, tried: tuple[Member, ...], seconds: float) -> EarlierAttempts:
        """With C{member}, which had it for so long; C{tried} have failed it by now."""
        return EarlierAttempts(tried, (*self.taken_from, member), self.guest + seconds)


FIRST = EarlierAttempts()
"""Of a request that nobody had before."""
