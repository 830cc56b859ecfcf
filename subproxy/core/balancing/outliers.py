"""
Which member fails where others of its pool do not: it gets less, then nothing for a while.

Pings say that a guest is there; only its answers say whether its application works. As Envoy's
outlier detection and HAProxy's C{observe layer7} do, two things are looked at: failures in a row,
and the share of failures among the answers of the last L{INTERVAL}.

- Others of its pools that fail as well speak for it: then what they all depend on is broken, or a
  client asks for what breaks, and nobody is taken out for that.
- At most half of a pool is out, and never the last that is there. If the others leave, who is out
  comes back at once.
- It is out for C{time}, and each time for twice as long, up to L{LONGEST}, or C{time} if that is
  more; a quiet interval takes one time back. It comes back as a newcomer does, by slow start.

All is well costs nothing: a member is watched (C{Member.outcomes} is not None) from its first
failure until an interval without one. Decisions are values; who called acts on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from subproxy.core.balancing.member import THERE, Member, MemberState, Pool, is_peer
from subproxy.core.balancing.outcomes import Outcomes
from subproxy.wire.values import value_class

ROW: Final = 5
"""Failures in a row of which one is too many; Envoy's default."""

TIME: Final = 30.0
"""Seconds for which one is out the first time; likewise."""

LONGEST: Final = 300.0
INTERVAL: Final = 10.0
"""Seconds over which shares are counted."""

MARGIN: Final = 0.25
"""By so much must its share of failures exceed the mean of the others'."""

SUSPECT_SHARE: Final = 0.1
"""Of its weight, what a member has that has failed more than half of L{ROW} in a row."""

IN_A_ROW, TOO_MANY = REASONS = ("in-a-row", "share")
"""Why a member was taken out."""


@value_class
class Reweigh:
    """C{member} is to have this share of its weight."""

    member: Member
    share: float


@value_class
class Eject:
    """C{member} is to get nothing for so many seconds; C{reason} is one of L{REASONS}."""

    member: Member
    seconds: float
    reason: str


@value_class
class Reinstate:
    """C{member} is to be used again."""

    member: Member


Decision = Reweigh | Eject | Reinstate


class OutlierDetector:
    """
    Decides.

    @ivar row: failures in a row of which one is too many; 0: nobody is taken out.
    @ivar time: seconds for which one is out the first time.
    @ivar out: how many are.
    """

    __slots__ = ("_watched", "out", "row", "time")

    def __init__(self, row: int = ROW, time: float = TIME) -> None:
        self.row = row
        self.time = time
        self.out = 0
        self._watched: dict[Member, Outcomes] = {}

    def failed(self, member: Member, now: float) -> Decision | None:
        """C{member} has failed to answer, or has answered that it failed."""
        if not self.row or is_peer(member) or member.state == MemberState.GONE:
            return None
        found = member.outcomes
        if found is None:
            found = member.outcomes = self._watched[member] = Outcomes(now)
        found.failures += 1
        found.row += 1
        if member.state not in THERE:
            return None
        reason = self._reason(member, found)
        if reason is not None and all(_may_lose(pool, member) for pool in member.pools):
            found.times += 1
            longest = max(LONGEST, self.time)
            seconds = min(longest, self.time * 2.0 ** min(found.times - 1, 30))
            found.until = now + seconds
            self.out += 1
            found.suspect = False
            _begin_anew(found, now)
            return Eject(member, seconds, reason)
        if found.row * 2 > self.row and not found.suspect:
            found.suspect = True
            return Reweigh(member, SUSPECT_SHARE)
        return None

    def succeeded(self, member: Member) -> Decision | None:
        """C{member}, which is watched, has given a good answer."""
        found = member.outcomes
        assert found is not None
        found.answers += 1
        found.row = 0
        if found.suspect:
            found.suspect = False
            return Reweigh(member, 1.0)
        return None

    def expire(self, now: float) -> Iterator[Decision]:
        """What time has brought; to be asked a few times a second."""
        for member, found in list(self._watched.items()):
            if member.state == MemberState.GONE:
                self._forget(member)
            elif found.until:
                if member.state != MemberState.FAILING:
                    self._back(found)  # an operator, or silence, has decided otherwise
                elif now >= found.until or not all(map(_is_served, member.pools)):
                    yield self._reinstate(member, found)
            elif now - found.began >= INTERVAL:
                yield from self._interval_over(member, found, now)

    def relieve(self, pool: Pool) -> list[Decision]:
        """Nobody of C{pool} is there: who is out is needed."""
        if not self.out or _is_served(pool):
            return []
        return [
            self._reinstate(member, member.outcomes)
            for member in pool.members
            if member.state == MemberState.FAILING and member.outcomes is not None
        ]

    def _reason(self, member: Member, found: Outcomes) -> str | None:
        in_a_row = found.row >= self.row
        share = found.share
        if not in_a_row and share <= MARGIN:
            return None
        others = [
            each.outcomes
            for each in {each: None for pool in member.pools for each in pool.members}
            if each is not member and each.state in THERE and not is_peer(each)
        ]
        if in_a_row:
            rows = (0.0 if each is None else min(each.row / self.row, 1.0) for each in others)
            if _mean(rows, len(others)) < 0.5:
                return IN_A_ROW
        shares = (0.0 if each is None else each.share for each in others)
        return TOO_MANY if share > _mean(shares, len(others)) + MARGIN else None

    def _interval_over(self, member: Member, found: Outcomes, now: float) -> Iterator[Decision]:
        if found.failures:
            _begin_anew(found, now, found.row)
            return
        if found.suspect:
            # Beside others that are idle it got nothing at all. Its next answers decide: the row
            # is as long as it was.
            found.suspect = False
            _begin_anew(found, now, found.row)
            yield Reweigh(member, 1.0)
            return
        _begin_anew(found, now)
        if found.times:
            found.times -= 1
        else:
            self._forget(member)

    def _reinstate(self, member: Member, found: Outcomes) -> Reinstate:
        self._back(found)
        return Reinstate(member)

    def _back(self, found: Outcomes) -> None:
        found.until = 0.0
        self.out -= 1

    def _forget(self, member: Member) -> None:
        found = self._watched.pop(member)
        if found.until:
            self._back(found)
        member.outcomes = None


def _begin_anew(found: Outcomes, now: float, row: int = 0) -> None:
    found.answers = found.failures = 0
    found.row = row
    found.began = now


def _mean(values: Iterable[float], count: int) -> float:
    return sum(values) / count if count else 0.0


def _is_served(pool: Pool) -> bool:
    """Whether a guest of C{pool} is there. Other processes have the same guests, or others."""
    return any(each.state in THERE and not is_peer(each) for each in pool.members)


def _may_lose(pool: Pool, member: Member) -> bool:
    """Whether C{pool} can do without C{member}, too."""
    guests = [each for each in pool.members if not is_peer(each)]
    out = sum(each.state == MemberState.FAILING for each in guests)
    there = any(each.state in THERE for each in guests if each is not member)
    return there and (out + 1) * 2 <= len(guests)
