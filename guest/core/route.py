"""A route that a guest asks for, and where each request for one stands."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Any

from subproxy.wire.values import record_class, value_class


@value_class
class Route:
    """
    A route of an application: the hosts and paths that it serves.

    @ivar host: RE2 pattern of the whole host, C{rb"blog\\.example"}.
    @ivar path: RE2 pattern of the whole path.
    @ivar passthrough: we want the TLS of clients itself, and have the keys; then the path is that
        of all.
    """

    host: bytes
    path: bytes = b"/.*"
    passthrough: bool = False

    def __str__(self) -> str:
        host, path = self.host.decode("utf-8", "replace"), self.path.decode("utf-8", "replace")
        return f"host={host} path={path}{' passthrough' if self.passthrough else ''}"


class RegistrationState(Enum):
    """Where a registration stands."""

    ASKED = auto()
    STANDS = auto()
    LEAVING = auto()


@record_class
class Registration:
    """
    One registration on one connection.

    @ivar reference: its number there.
    @ivar waiter: who waits for the proxy's answer, if anybody does.
    """

    reference: int
    route: Route
    standing: RegistrationState = RegistrationState.ASKED
    waiter: Any = None


class Registrations:
    """The registrations of one connection, by reference and by route."""

    def __init__(self) -> None:
        self._by_reference: dict[int, Registration] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._by_reference)

    def __iter__(self) -> Iterator[Registration]:
        return iter(list(self._by_reference.values()))

    @property
    def asked(self) -> int:
        """How many registrations there have been, those that are gone included."""
        return self._last

    def add(self, route: Route, waiter: Any = None) -> Registration:
        """A new registration of C{route}, under the next reference, for which C{waiter} waits."""
        self._last += 1
        registration = Registration(self._last, route, waiter=waiter)
        self._by_reference[self._last] = registration
        return registration

    def find(self, host: bytes, path: bytes) -> Registration | None:
        """The latest registration of these patterns that is not being taken back."""
        for each in reversed(self._by_reference.values()):
            patterns = (each.route.host, each.route.path)
            if patterns == (host, path) and each.standing is not RegistrationState.LEAVING:
                return each
        return None

    def get(self, reference: int) -> Registration | None:
        """The registration of that reference, if there is one."""
        return self._by_reference.get(reference)

    def remove(self, reference: int) -> Registration | None:
        """Take a registration out."""
        return self._by_reference.pop(reference, None)
