"""
Who hears what becomes of guests: the parent of several workers, by way of one of them.

A proxy of one process has nobody who hears.
"""

from __future__ import annotations

from subproxy.core.balancing.member import Member
from subproxy.core.routing.route import Route


class GuestObserver:
    """Hears nothing; a subclass overrides what it wants to hear."""

    def subscribed(self, member: Member) -> None:
        """C{member} has greeted."""

    def left(self, member: Member) -> None:
        """C{member} takes no more part, and its routes are gone."""

    def served(self, member: Member, route: Route, served: bool) -> None:
        """C{member} has registered a route, or no longer has it."""

    def closed(self, identity: str) -> None:
        """A connection of C{identity} is closed."""
