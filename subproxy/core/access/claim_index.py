"""Claims by what they cover: whose is a route, where there are thousands of claims."""

from __future__ import annotations

from bisect import insort
from typing import Generic, TypeVar

from subproxy.core.access.claims import Claim
from subproxy.core.routing.pattern import Kind
from subproxy.core.routing.route import Route

T = TypeVar("T")


class ClaimIndex(Generic[T]):
    """
    See above. Of claims that cover the same the most specific one decides
    (L{Claim.specificity}).
    """

    __slots__ = ("_literal", "_wild")

    def __init__(self) -> None:
        self._literal: dict[bytes, list[tuple[Claim, T]]] = {}
        self._wild: list[tuple[Claim, T]] = []

    def add(self, claim: Claim, owner: T) -> None:
        """It is C{owner}'s."""
        place = self._literal.setdefault(claim.suffix, []) if claim.literal else self._wild
        insort(place, (claim, owner), key=_order)

    def of(self, route: Route) -> T | None:
        """Whose C{route} is: all that it matches lies within a claim of that owner."""
        host = route.host
        if host.kind is Kind.LITERAL:
            for claim, owner in self._literal.get(host.literal, ()):
                if claim.covers_route(route):
                    return owner
        for claim, owner in self._wild:
            if claim.covers_route(route):
                return owner
        return None


def _order(entry: tuple[Claim, object]) -> tuple[int, int]:
    _, suffix, path = entry[0].specificity
    return -suffix, -path
