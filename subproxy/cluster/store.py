"""
What a cluster needs of a store of keys and values: leases, one list, and a watch that goes on.

There are two, under the same tests: L{MemoryStore<subproxy.cluster.memory_store.MemoryStore>} and
L{EtcdStore<subproxy.cluster.etcd_store.EtcdStore>}.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from twisted.internet.defer import Deferred

from subproxy.cluster.publication import Batch

MAX_BATCH: Final = 100
"""Records of a batch at most: etcd takes 128 operations at once, unless it is told otherwise."""


class StoreError(Exception):
    """The store did not do it, for that reason: it is away, or says no. To be tried again."""


class LeaseLost(Exception):
    """There is no such lease: it has expired, and all that stood under it is gone."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    All that stands under a prefix.

    @ivar items: keys and values.
    @ivar revision: of the store, at that moment.
    """

    items: list[tuple[bytes, bytes]]
    revision: int


@dataclass(frozen=True, slots=True)
class WatchBegun:
    """
    The store has begun to watch.

    @ivar revision: of the store, at that moment.
    """

    revision: int


@dataclass(frozen=True, slots=True)
class WatchProgress:
    """The store is there. How far what it has told of goes, it does not say in every version."""


@dataclass(frozen=True, slots=True)
class KeyWritten:
    """C{value} stands at C{key}."""

    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class KeyDeleted:
    """Nothing stands there any more."""

    key: bytes


@dataclass(frozen=True, slots=True)
class WatchEvents:
    """
    What has happened, in that order.

    @ivar revision: of the last of it.
    """

    events: list[KeyWritten | KeyDeleted]
    revision: int


@dataclass(frozen=True, slots=True)
class WatchCanceled:
    """It watches no more: what was asked for is forgotten already, or for that reason."""

    reason: str


WatchMessage = WatchBegun | WatchProgress | WatchEvents | WatchCanceled


class Watch(Protocol):
    """A watch that goes on."""

    def cancel(self) -> None:
        """Hear no more of it; C{closed} does not fire then."""


class Store(Protocol):
    """
    See above. What it returns fails with L{StoreError} where nothing else is said.
    """

    def grant(self, seconds: int) -> Deferred[int]:
        """A lease of so many seconds."""

    def keep_alive(self, lease: int) -> Deferred[None]:
        """
        Let a lease begin anew.

        @return: fails with L{LeaseLost}.
        """

    def revoke(self, lease: int) -> Deferred[None]:
        """End a lease, and all that stands under it. There may be none."""

    def write(self, lease: int, batch: Batch) -> Deferred[None]:
        """
        Write all of C{batch}, at most L{MAX_BATCH} records, under C{lease}.

        @return: fails with L{LeaseLost}: then nothing of it was written.
        """

    def list(self, prefix: bytes) -> Deferred[Snapshot]:
        """What stands under C{prefix}."""

    def watch(
        self,
        prefix: bytes,
        revision: int,
        heard: Callable[[WatchMessage], None],
        closed: Callable[[StoreError], None],
    ) -> Watch:
        """
        Hear of all that happens under C{prefix} from C{revision} on, that included.

        L{WatchProgress} comes after L{WatchBegun}, unless there is something else to say.

        @param closed: hears once that the store is gone.
        """
