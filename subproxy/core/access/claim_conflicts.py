"""Claims that cannot stand beside each other, found without a look at each pair of thousands."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Generic, TypeVar

from subproxy.core.access.claims import Claim, conflict

T = TypeVar("T")


class ClaimConflicts(Generic[T]):
    """See above. What conflicts is what C{conflict} says."""

    __slots__ = ("_at", "_below", "_order")

    def __init__(self) -> None:
        self._order = count()
        self._at: dict[bytes, list[tuple[int, Claim, T]]] = {}
        """By what all hosts of a claim end with: a literal host, or a wildcard's suffix."""
        self._below: dict[bytes, list[tuple[int, Claim, T]]] = {}
        """Wildcards by each suffix of theirs."""

    def add(self, claim: Claim, owner: T) -> None:
        """It is C{owner}'s."""
        entry = next(self._order), claim, owner
        self._at.setdefault(claim.suffix, []).append(entry)
        if not claim.literal:
            for suffix in _wider(claim.suffix):
                self._below.setdefault(suffix, []).append(entry)

    def of(self, claim: Claim) -> Iterator[tuple[Claim, T, str]]:
        """What can't stand beside C{claim}, whose it is, and why; who was added first is first."""
        found = list(self._at.get(claim.suffix, ()))
        if not claim.literal:
            found += self._below.get(claim.suffix, ())
            for suffix in _wider(claim.suffix):
                found += self._at.get(suffix, ())
        for _, other, owner in sorted(found, key=lambda entry: entry[0]):
            reason = conflict(claim, other)
            if reason is not None:
                yield other, owner, reason


def _wider(suffix: bytes) -> Iterator[bytes]:
    """The suffixes of wildcards that cover what one of C{suffix} does, and more."""
    while suffix:
        _, dot, rest = suffix.removeprefix(b".").partition(b".")
        suffix = dot + rest
        yield suffix
