"""
Keeps a table of what is in the store: lists it, then watches from there on.

A watch that says nothing may be dead, and nothing can be asked of it once it has begun. So it is
asked for anew every L{RENEWAL} seconds, from the revision after the last that was heard: what the
old one has lost, the new one tells. One that is not heard within L{PROOF} seconds, that was
canceled, or that begins at a revision that the store has not reached (it was restored from an older
copy), means to list again and go by the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.cluster.cluster_table import Change, ClusterTable, RecordSkipped
from subproxy.cluster.states import VIEW_TRANSITIONS, ViewState
from subproxy.cluster.store import (
    KeyWritten,
    Snapshot,
    Store,
    StoreError,
    Watch,
    WatchBegun,
    WatchCanceled,
    WatchEvents,
    WatchMessage,
)
from subproxy.core.printable import printable
from subproxy.core.retry_delay import RetryDelay

RENEWAL: Final = 10.0
"""Seconds after which a watch is asked for anew."""

PROOF: Final = 3.0
"""Seconds within which something must be heard of it."""

SLICE: Final = 200
"""Records of a list that are dealt with in one turn of the reactor: a few milliseconds."""


class StoreView:
    """
    See above.

    @param changed: hears of each change of the table, in order.
    @ivar table: what is known.
    @ivar state: see L{ViewState}.
    @ivar stale: what is known may have changed since: the store is away.
    @ivar since: when that began, by the clock; only if it is stale.
    @ivar revision: of the store, up to which all was heard.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        store: Store,
        prefix: str,
        table: ClusterTable,
        changed: Callable[[Change], None],
        random: Callable[[], float],
    ) -> None:
        self.table = table
        self.state = ViewState.LISTING
        self.stale = True
        self.since: float = clock.seconds()
        self.revision = 0
        self._clock = clock
        self._store = store
        self._prefix = prefix.encode()
        self._changed = changed
        self._delay = RetryDelay(random)
        self._watch: Watch | None = None
        self._next: IDelayedCall | None = None
        self._asked = 0

    def begin(self) -> None:
        """Ask for all that there is."""
        self._list()

    def close(self) -> None:
        """Hear no more."""
        if self.state is not ViewState.CLOSED:
            self._drop()
            self._go(ViewState.CLOSED)

    def _go(self, state: ViewState) -> None:
        self.state = VIEW_TRANSITIONS.move(self.state, state)

    def _drop(self) -> None:
        """Forget what was asked for."""
        self._asked += 1
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._next = self._clock.callLater(seconds, call)

    def _away(self, error: StoreError) -> None:
        self._drop()
        if not self.stale:
            self.stale = True
            self.since = self._clock.seconds()
        if not self._delay.failures:
            self._log.warn(
                "the cluster's store does not answer ({error}): what it said last goes on",
                error=error,
            )
        self._go(ViewState.AWAY)
        self._later(self._delay.failed(), self._again)

    def _again(self) -> None:
        self._go(ViewState.LISTING)
        self._list()

    # The list.

    def _list(self) -> None:
        self._drop()
        asked = self._asked

        def listed(found: Snapshot) -> None:
            if asked == self._asked:
                self._take(found, iter(self.table.replace(found.items)))

        def failed(failure: Failure) -> None:
            if asked != self._asked:
                return
            if not failure.check(StoreError):
                self._log.failure("a bug in the view of the cluster", failure)
            self._away(StoreError(failure.getErrorMessage()))

        self._store.list(self._prefix).addCallback(listed).addErrback(failed)

    def _take(self, found: Snapshot, changes: Iterable[Change]) -> None:
        """Deal with some of a list, and with the rest in the next turn."""
        self._next = None
        for number, change in enumerate(changes, 1):
            self._hear(change)
            if number == SLICE:
                self._later(0, lambda: self._take(found, changes))
                return
        self.revision = found.revision
        self._go(ViewState.PROVING)
        self._begin_watch()

    def _hear(self, change: Change) -> None:
        if isinstance(change, RecordSkipped):
            self._log.warn(
                "the cluster's record {key} is skipped: {reason}",
                key=printable(change.key),
                reason=change.reason,
            )
            return
        try:
            self._changed(change)
        except Exception:
            self._log.failure("{change} could not be dealt with", change=change)

    # The watch.

    def _begin_watch(self) -> None:
        self._drop()
        asked = self._asked

        def heard(message: WatchMessage) -> None:
            if asked == self._asked:
                self._told(message)

        def closed(error: StoreError) -> None:
            if asked == self._asked:
                self._away(error)

        self._later(PROOF, self._silent)
        self._watch = self._store.watch(self._prefix, self.revision + 1, heard, closed)

    def _silent(self) -> None:
        self._log.info("a watch of the cluster's store is silent: all is asked for again")
        self._go(ViewState.LISTING)
        self._list()

    def _renew(self) -> None:
        self._go(ViewState.PROVING)
        self._begin_watch()

    def _told(self, message: WatchMessage) -> None:
        match message:
            case WatchBegun():
                if message.revision < self.revision:
                    self._log.warn("the cluster's store has gone back: all is asked for again")
                    self._go(ViewState.LISTING)
                    self._list()
                return
            case WatchCanceled():
                self._log.info(
                    "a watch of the cluster was canceled: all is asked for again ({reason})",
                    reason=message.reason,
                )
                self._go(ViewState.LISTING)
                self._list()
                return
            case WatchEvents():
                self._happened(message)
        self._proven()

    def _happened(self, message: WatchEvents) -> None:
        table = self.table
        for event in message.events:
            if isinstance(event, KeyWritten):
                changes = table.put(event.key, event.value)
            else:
                changes = table.delete(event.key)
            for change in changes:
                self._hear(change)
        self.revision = max(self.revision, message.revision)

    def _proven(self) -> None:
        """The watch is heard: what is known is what there is."""
        if self.state is not ViewState.PROVING:
            return
        self._go(ViewState.WATCHING)
        if self.stale:
            self._log.info(
                "the cluster: {hosts} other hosts, {routes} routes",
                hosts=len(self.table.hosts),
                routes=self.table.routes,
            )
        self.stale = False
        self._delay.succeeded()
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._later(RENEWAL, self._renew)
