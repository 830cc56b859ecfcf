"""Something that happens at most once, and that any number of people wait for."""

from __future__ import annotations

from typing import Generic, TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


class OneShotObserver(Generic[T]):
    """
    Gives a new Deferred to each who waits; all of them fire with the same value.

    @ivar value: what it fired with, or None.
    """

    def __init__(self) -> None:
        self.value: T | None = None
        self._happened = False
        self._waiting: list[Deferred[T]] = []

    def wait(self) -> Deferred[T]:
        """Fires when it happens, or at once if it has. May be cancelled."""
        deferred: Deferred[T] = Deferred(self._forget)
        if self._happened:
            deferred.callback(self.value)  # type: ignore[arg-type]
        else:
            self._waiting.append(deferred)
        return deferred

    def fire(self, value: T) -> None:
        """Fire everybody who waits, with C{value}; at most once."""
        if self._happened:
            return
        self._happened = True
        self.value = value
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(value)

    def _forget(self, deferred: Deferred[T]) -> None:
        if deferred in self._waiting:
            self._waiting.remove(deferred)
