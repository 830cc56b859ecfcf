"""What stands in the store under the lease of a host."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.cluster.memory_store import MemoryStore
from subproxy.cluster.publisher import LEASE_SECONDS, Publisher
from subproxy.cluster.states import LeaseState
from subproxy.cluster.store import MAX_BATCH, StoreError
from subproxy.core.retry_delay import LONGEST_DELAY


class PublisherTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(self.clock)
        self.publisher = self.make()

    def make(self) -> Publisher:
        return Publisher(self.clock, self.store, lambda: 1.0)

    def settle(self) -> None:
        for _ in range(12):
            self.clock.advance(0)

    def want(self, key: bytes, value: bytes = b"1") -> None:
        self.publisher.publication.want(key, value)
        self.publisher.look()

    def begin(self) -> None:
        self.publisher.begin()
        self.want(b"a")
        self.settle()

    @property
    def items(self) -> dict[bytes, bytes]:
        return dict(self.successResultOf(self.store.list(b"")).items)

    def test_publish(self) -> None:
        """What is wanted stands there, as long as the host lives."""
        self.begin()
        self.assertEqual(self.items, {b"a": b"1"})
        for _ in range(100):
            self.clock.advance(1)
        self.assertEqual(self.items, {b"a": b"1"})
        self.publisher.publication.unwant(b"a")
        self.want(b"b")
        self.settle()
        self.assertEqual(self.items, {b"b": b"1"})

    def test_in_batches(self) -> None:
        """Much is written in a few turns, each as much as may be."""
        self.publisher.begin()
        for number in range(3 * MAX_BATCH):
            self.want(b"%d" % number)
        self.settle()
        self.assertEqual(len(self.items), 3 * MAX_BATCH)
        self.assertEqual(self.store.revision, 1 + 3)

    def test_killed(self) -> None:
        """What a dead host has published is gone with its lease."""
        self.begin()
        self.publisher._cancel()
        self.clock.advance(LEASE_SECONDS)
        self.assertEqual(self.items, {})

    def test_close(self) -> None:
        """A host that stops takes all along at once."""
        self.begin()
        self.successResultOf(self.publisher.close())
        self.successResultOf(self.publisher.close())
        self.assertEqual(self.items, {})
        self.want(b"b")
        self.settle()
        self.assertEqual((self.items, self.clock.getDelayedCalls()), ({}, []))

    def test_close_without_store(self) -> None:
        """One that cannot is not held up."""
        self.begin()
        self.store.away = True
        self.successResultOf(self.publisher.close())
        self.assertIs(self.publisher.state, LeaseState.REVOKED)

    def test_close_before_anything(self) -> None:
        """Nor one that has no lease, or is about to get one."""
        self.successResultOf(self.publisher.close())
        publisher = self.make()
        granted: Deferred[int] = Deferred()
        self.store.grant = lambda seconds: granted  # type: ignore[method-assign]
        publisher.begin()
        self.settle()
        self.successResultOf(publisher.close())
        revoked: list[int] = []
        revoke = self.store.revoke
        self.store.revoke = lambda lease: revoked.append(lease) or revoke(lease)  # type: ignore
        granted.callback(7)
        self.assertEqual(revoked, [7])

    def test_lease_lost(self) -> None:
        """All is published again, under another one."""
        self.begin()
        self.want(b"b")
        self.settle()
        self.successResultOf(self.store.revoke(self.publisher._lease))
        self.assertEqual(self.items, {})
        self.clock.advance(LEASE_SECONDS / 3)
        self.settle()
        self.assertEqual(self.items, {b"a": b"1", b"b": b"1"})

    def test_lease_lost_while_writing(self) -> None:
        """So it is where a write finds that out."""
        self.begin()
        self.successResultOf(self.store.revoke(self.publisher._lease))
        self.want(b"b")
        self.settle()
        self.assertEqual(self.items, {b"a": b"1", b"b": b"1"})

    def test_away(self) -> None:
        """What could not be written is, as soon as the store is back."""
        self.begin()
        self.store.away = True
        self.want(b"b")
        self.publisher.publication.unwant(b"a")
        for _ in range(4):
            self.clock.advance(1)
        self.assertEqual(self.publisher.publication.pending, 2)
        self.store.away = False
        self.clock.advance(LONGEST_DELAY)
        self.settle()
        self.assertEqual(self.items, {b"b": b"1"})

    def test_away_for_long(self) -> None:
        """Longer than the lease: there is another one."""
        self.begin()
        self.store.away = True
        for _ in range(3 * LEASE_SECONDS):
            self.clock.advance(1)
        self.store.away = False
        self.clock.advance(LONGEST_DELAY)
        self.settle()
        self.assertEqual(self.items, {b"a": b"1"})

    def test_away_is_asked_seldom(self) -> None:
        """Each attempt waits twice as long, whatever changes meanwhile."""
        self.begin()
        asked = 0

        def write(lease: int, batch: object) -> Deferred[None]:
            nonlocal asked
            asked += 1
            failed: Deferred[None] = Deferred()
            failed.errback(StoreError("no"))
            return failed

        self.store.write = write  # type: ignore[method-assign]
        self.store.keep_alive = lambda lease: write(lease, None)  # type: ignore[method-assign]
        for number in range(60):
            self.want(b"%d" % number)
            self.clock.advance(1)
        self.assertTrue(12 <= asked <= 24, asked)

    def test_freeze(self) -> None:
        """Another process of the host publishes: what this one has stays until it ends."""
        self.begin()
        self.want(b"c")
        self.settle()
        self.publisher.freeze()
        other = self.make()
        other.publication.want(b"a", b"1")
        other.begin()
        self.settle()
        self.publisher.publication.unwant(b"a")
        self.publisher.look()
        for _ in range(3 * LEASE_SECONDS):
            self.clock.advance(1)
        self.assertEqual(self.items, {b"a": b"1", b"c": b"1"})
        self.successResultOf(self.publisher.close())
        self.assertEqual(self.items, {b"a": b"1"})

    def test_bug(self) -> None:
        """A bug of a store is logged, and does not end it all."""
        self.begin()

        def write(lease: int, batch: object) -> Deferred[None]:
            failed: Deferred[None] = Deferred()
            failed.errback(RuntimeError("a bug"))
            return failed

        original = self.store.write
        self.store.write = write  # type: ignore[method-assign]
        self.want(b"b")
        self.settle()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.store.write = original  # type: ignore[method-assign]
        self.clock.advance(LONGEST_DELAY)
        self.settle()
        self.assertEqual(self.items, {b"a": b"1", b"b": b"1"})
