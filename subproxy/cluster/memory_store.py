"""A store in memory, for tests and as the description of what a store does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from subproxy.cluster.publication import Batch
from subproxy.cluster.store import (
    KeyDeleted,
    KeyWritten,
    LeaseLost,
    Snapshot,
    StoreError,
    WatchBegun,
    WatchCanceled,
    WatchEvents,
    WatchMessage,
    WatchProgress,
)


class _MemoryWatch:
    """
    One watch.

    @ivar silent: nothing is heard of it any more, and it is not told so.
    """

    def __init__(
        self,
        store: MemoryStore,
        prefix: bytes,
        revision: int,
        heard: Callable[[WatchMessage], None],
        closed: Callable[[StoreError], None],
    ) -> None:
        self.prefix = prefix
        self.revision = revision
        self.heard = heard
        self.closed = closed
        self.silent = False
        self._store = store

    def cancel(self) -> None:
        """See L{Watch<subproxy.cluster.store.Watch>}."""
        self._store.watches.discard(self)


class MemoryStore:
    """
    See above.

    @param clock: by which leases expire, and what is heard comes later.
    @ivar away: it fails whatever it is asked.
    @ivar watches: those that go on.
    """

    def __init__(self, clock: Any) -> None:
        self.away = False
        self.revision = 1
        self.watches: set[_MemoryWatch] = set()
        self._clock = clock
        self._items: dict[bytes, tuple[bytes, int]] = {}
        self._leases: dict[int, tuple[Any, int]] = {}
        self._history: list[tuple[int, KeyWritten | KeyDeleted]] = []
        self._compacted = 0
        self._last = 0

    # What the tests do.

    def put(self, key: bytes, value: bytes) -> None:
        """Write something under no lease."""
        self.revision += 1
        self._put(key, value, 0)
        self._tell()

    def delete(self, key: bytes) -> None:
        """Delete something."""
        self.revision += 1
        self._delete(key)
        self._tell()

    def compact(self) -> None:
        """Forget all that was before now."""
        self._compacted = self.revision
        self._history = [each for each in self._history if each[0] > self._compacted]

    def break_watches(self) -> None:
        """Let all watches end."""
        for each in list(self.watches):
            self.watches.discard(each)
            each.closed(StoreError("the stream has ended"))

    # Store.

    def grant(self, seconds: int) -> Deferred[int]:
        """See L{Store<subproxy.cluster.store.Store>}."""
        if self.away:
            return self._failed()
        self._last += 1
        lease = self._last
        self._leases[lease] = self._clock.callLater(seconds, self._expire, lease), seconds
        return succeed(lease)

    def keep_alive(self, lease: int) -> Deferred[None]:
        """See L{Store<subproxy.cluster.store.Store>}."""
        if self.away:
            return self._failed()
        found = self._leases.get(lease)
        if found is None:
            return fail(LeaseLost())
        found[0].reset(found[1])
        return succeed(None)

    def revoke(self, lease: int) -> Deferred[None]:
        """See L{Store<subproxy.cluster.store.Store>}."""
        if self.away:
            return self._failed()
        found = self._leases.get(lease)
        if found is not None:
            found[0].cancel()
            self._expire(lease)
        return succeed(None)

    def write(self, lease: int, batch: Batch) -> Deferred[None]:
        """See L{Store<subproxy.cluster.store.Store>}."""
        if self.away:
            return self._failed()
        if lease not in self._leases:
            return fail(LeaseLost())
        self.revision += 1
        for key in batch.deletes:
            if key in self._items and self._items[key][1] == lease:
                self._delete(key)
        for key, value in batch.puts.items():
            self._put(key, value, lease)
        self._tell()
        return succeed(None)

    def list(self, prefix: bytes) -> Deferred[Snapshot]:
        """See L{Store<subproxy.cluster.store.Store>}."""
        if self.away:
            return self._failed()
        found = [(key, value) for key, (value, _) in self._items.items() if key.startswith(prefix)]
        return succeed(Snapshot(sorted(found), self.revision))

    def watch(
        self,
        prefix: bytes,
        revision: int,
        heard: Callable[[WatchMessage], None],
        closed: Callable[[StoreError], None],
    ) -> _MemoryWatch:
        """See L{Store<subproxy.cluster.store.Store>}."""
        watch = _MemoryWatch(self, prefix, revision, heard, closed)
        self.watches.add(watch)
        self._clock.callLater(0, self._begin, watch)
        return watch

    def _begin(self, watch: _MemoryWatch) -> None:
        if watch not in self.watches or watch.silent:
            return
        if self.away:
            self.watches.discard(watch)
            watch.closed(StoreError("the store is away"))
            return
        watch.heard(WatchBegun(self.revision))
        if watch.revision <= self._compacted:
            self.watches.discard(watch)
            watch.heard(WatchCanceled(f"revisions up to {self._compacted} are forgotten"))
            return
        watch.heard(WatchProgress())
        self._tell()

    def _failed(self) -> Deferred[Any]:
        return fail(StoreError("the store is away"))

    def _put(self, key: bytes, value: bytes, lease: int) -> None:
        self._items[key] = value, lease
        self._history.append((self.revision, KeyWritten(key, value)))

    def _delete(self, key: bytes) -> None:
        if self._items.pop(key, None) is not None:
            self._history.append((self.revision, KeyDeleted(key)))

    def _expire(self, lease: int) -> None:
        del self._leases[lease]
        self.revision += 1
        for key, (_, owner) in list(self._items.items()):
            if owner == lease:
                self._delete(key)
        self._tell()

    def _tell(self) -> None:
        self._clock.callLater(0, self._tell_all)

    def _tell_all(self) -> None:
        for watch in list(self.watches):
            if self.away or watch.silent:
                continue
            events = [
                event
                for revision, event in self._history
                if revision >= watch.revision and event.key.startswith(watch.prefix)
            ]
            if events:
                watch.revision = self.revision + 1
                watch.heard(WatchEvents(events, self.revision))
