"""
Lets what this host publishes stand in the store, under one lease.

One thing is asked of the store at a time. The lease is kept alive before anything is written, as
soon as a third of it is over; if it is lost, another one is granted, and all is written again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.cluster.publication import Batch, Publication
from subproxy.cluster.states import (
    ASKING_TRANSITIONS,
    LEASE_TRANSITIONS,
    AskingState,
    LeaseState,
)
from subproxy.cluster.store import MAX_BATCH, LeaseLost, Store, StoreError
from subproxy.core.retry_delay import RetryDelay

LEASE_SECONDS: Final = 10
"""How long what a host has published outlives the host."""


class Publisher:
    """
    See above.

    @ivar publication: what is to stand there; to be told of a change of it by L{look}.
    @ivar state: see L{LeaseState}.
    """

    _log = Logger()

    def __init__(self, clock: Any, store: Store, random: Callable[[], float]) -> None:
        self.publication = Publication()
        self.state = LeaseState.NONE
        self._clock = clock
        self._store = store
        self._delay = RetryDelay(random)
        self._lease = 0
        self._kept = 0.0
        self._asking = AskingState.IDLE
        self._next: IDelayedCall | None = None
        self._done: Deferred[None] | None = None

    def begin(self) -> None:
        """Publish from now on."""
        self.look()

    def look(self) -> None:
        """Ask the store for what is due, unless something is asked for, or failed just now."""
        if self._asking is not AskingState.IDLE or self.state is LeaseState.REVOKED:
            return
        self._turn(AskingState.ASKING)
        # What changes within one turn is written at once.
        self._cancel()
        self._next = self._clock.callLater(0, self._ask)

    def freeze(self) -> None:
        """Write nothing more, and let what there is stand: see L{LeaseState}."""
        if self.state in (LeaseState.NONE, LeaseState.HELD):
            self._go(LeaseState.FROZEN)

    def close(self) -> Deferred[None]:
        """
        Give the lease back.

        @return: fires when that was asked for and answered, or failed.
        """
        if self.state is LeaseState.REVOKED:
            return succeed(None)
        self._go(LeaseState.REVOKED)
        self._cancel()
        lease, self._lease = self._lease, 0
        if not lease:
            return succeed(None)
        done: Deferred[None] = self._store.revoke(lease)
        return done.addErrback(
            lambda failure: self._log.info(
                "the lease could not be given back: {why}", why=failure.getErrorMessage()
            )
        )

    def _go(self, state: LeaseState) -> None:
        self.state = LEASE_TRANSITIONS.move(self.state, state)

    def _turn(self, state: AskingState) -> None:
        self._asking = ASKING_TRANSITIONS.move(self._asking, state)

    def _cancel(self) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None

    # One thing after the other.

    def _ask(self) -> None:
        self._next = None
        now = self._clock.seconds()
        if self.state is LeaseState.NONE:
            asked: Deferred[Any] = self._store.grant(LEASE_SECONDS).addCallback(self._granted)
        elif self._lease and now - self._kept >= LEASE_SECONDS / 3:
            asked = self._keep(now)
        elif self.state is LeaseState.HELD and self.publication.pending:
            batch = self.publication.next(MAX_BATCH)
            asked = self._write(batch)
        else:
            self._turn(AskingState.IDLE)
            if self._lease:
                self._next = self._clock.callLater(
                    max(0.0, self._kept + LEASE_SECONDS / 3 - now), self.look
                )
            return
        asked.addCallbacks(self._succeeded, self._failed)
        asked.addErrback(lambda failure: self._log.failure("a bug in the cluster", failure))

    def _granted(self, lease: int) -> Deferred[None] | None:
        if self.state is LeaseState.REVOKED:
            return self._store.revoke(lease)
        if self.state is LeaseState.NONE:
            self._lease = lease
            self._kept = self._clock.seconds()
            self.publication.lost()
            self._go(LeaseState.HELD)
        return None

    def _keep(self, now: float) -> Deferred[None]:
        def kept(result: None) -> None:
            self._kept = now

        return self._store.keep_alive(self._lease).addCallback(kept)

    def _write(self, batch: Batch) -> Deferred[None]:
        def written(result: None) -> None:
            self.publication.written(batch)

        def failed(failure: Failure) -> Failure:
            self.publication.uncertain(batch)
            return failure

        return self._store.write(self._lease, batch).addCallbacks(written, failed)

    def _succeeded(self, result: object) -> None:
        self._turn(AskingState.IDLE)
        self._delay.succeeded()
        self.look()

    def _failed(self, failure: Failure) -> None:
        if self.state is LeaseState.REVOKED:
            self._turn(AskingState.IDLE)
            return
        if failure.check(LeaseLost):
            self._log.warn("the lease of this host was lost: all is published again")
            self._lease = 0
            self._turn(AskingState.IDLE)
            if self.state is LeaseState.HELD:
                self._go(LeaseState.NONE)
                self.look()
            return
        if not failure.check(StoreError):
            self._log.failure("a bug in the cluster", failure)
        if not self._delay.failures:
            self._log.warn("nothing can be published: {why}", why=failure.getErrorMessage())
        self._turn(AskingState.BACKING_OFF)
        self._next = self._clock.callLater(self._delay.failed(), self._again)

    def _again(self) -> None:
        self._turn(AskingState.IDLE)
        self.look()
