"""A view of the store: what it knows, when it asks, and what it does without it."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.cluster.cluster_table import Change, ClusterTable, HostCame, HostLeft, RouteCame
from subproxy.cluster.memory_store import MemoryStore
from subproxy.cluster.records import host_key, host_value, route_key, route_value
from subproxy.cluster.states import ViewState
from subproxy.cluster.store_view import PROOF, RENEWAL, SLICE, StoreView
from subproxy.core.retry_delay import LONGEST_DELAY
from subproxy.core.routing.route import Route

PREFIX = "/subproxy/"
A, B = host_key(PREFIX, "a"), host_key(PREFIX, "b")
ONE = Route(b"one\\.example")


class StoreViewTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(self.clock)
        self.changes: list[Change] = []
        self.view = StoreView(
            self.clock,
            self.store,
            PREFIX,
            ClusterTable(PREFIX, "own"),
            self.changes.append,
            lambda: 1.0,
        )

    def settle(self) -> None:
        for _ in range(6):
            self.clock.advance(0)

    def begin(self) -> None:
        self.view.begin()
        self.settle()
        self.assertIs(self.view.state, ViewState.WATCHING)

    def heard(self) -> list[Change]:
        found, self.changes[:] = self.changes[:], []
        return found

    def test_list_then_watch(self) -> None:
        """What there is, then what happens; nothing between is missed."""
        self.store.put(A, host_value("a:1"))
        self.assertTrue(self.view.stale)
        self.begin()
        self.assertFalse(self.view.stale)
        self.assertEqual(self.heard(), [HostCame("a", "a:1")])
        self.store.put(B, host_value("b:1"))
        self.store.delete(A)
        self.settle()
        self.assertEqual(self.heard(), [HostCame("b", "b:1"), HostLeft("a")])
        self.assertEqual(self.view.revision, self.store.revision)

    def test_away_at_first(self) -> None:
        """Before anything was heard, it is stale, and asks again."""
        self.store.away = True
        self.view.begin()
        self.settle()
        self.assertIs(self.view.state, ViewState.AWAY)
        self.store.put(A, host_value("a:1"))
        self.store.away = False
        self.clock.advance(LONGEST_DELAY)
        self.settle()
        self.assertEqual(self.heard(), [HostCame("a", "a:1")])
        self.assertFalse(self.view.stale)

    def test_away_later(self) -> None:
        """What was known goes on; when the store is back, only what is other is told."""
        self.store.put(A, host_value("a:1"))
        self.begin()
        self.heard()
        self.store.away = True
        self.store.break_watches()
        for _ in range(100):
            self.clock.advance(1)
        self.assertTrue(self.view.stale)
        self.assertEqual(self.clock.seconds() - self.view.since, 100)
        self.assertEqual((self.heard(), self.view.table.hosts), ([], {"a": "a:1"}))
        self.store.put(B, host_value("b:1"))
        self.store.away = False
        self.clock.advance(LONGEST_DELAY)
        self.settle()
        self.assertEqual(self.heard(), [HostCame("b", "b:1")])
        self.assertFalse(self.view.stale)

    def test_stream_ends(self) -> None:
        """A watch that ends begins again, and what happened meanwhile is heard."""
        self.begin()
        self.store.break_watches()
        self.assertIs(self.view.state, ViewState.AWAY)
        self.store.put(A, host_value("a:1"))
        self.clock.advance(LONGEST_DELAY)
        self.settle()
        self.assertEqual(self.heard(), [HostCame("a", "a:1")])

    def test_dead_stream(self) -> None:
        """One that says nothing, and whose end nobody tells, is found by asking anew."""
        self.begin()
        for watch in self.store.watches:
            watch.silent = True
        self.store.put(A, host_value("a:1"))
        self.settle()
        self.assertEqual(self.heard(), [])
        self.clock.advance(RENEWAL)
        self.settle()
        self.assertEqual(self.heard(), [HostCame("a", "a:1")])
        self.assertEqual(len(self.store.watches), 1)

    def test_quiet_for_long(self) -> None:
        """A watch is asked for anew all the time, and nothing is listed again."""
        self.begin()
        lists = []
        self.store.list = lists.append  # type: ignore[assignment]
        for _ in range(10):
            self.clock.advance(RENEWAL)
            self.settle()
            self.assertIs(self.view.state, ViewState.WATCHING)
        self.assertEqual(lists, [])
        self.assertEqual(len(self.store.watches), 1)

    def test_silent_from_the_start(self) -> None:
        """A watch that begins and is never heard (3.5.16, where it is compacted): list again."""
        self.begin()
        begin, self.store._begin = self.store._begin, lambda watch: None  # type: ignore
        for watch in self.store.watches:
            watch.silent = True
        self.clock.advance(RENEWAL)
        self.store.put(A, host_value("a:1"))
        for watch in self.store.watches:
            watch.silent = True
        self.settle()
        self.assertIs(self.view.state, ViewState.PROVING)
        self.store._begin = begin  # type: ignore[method-assign]
        self.clock.advance(PROOF)
        self.settle()
        self.assertEqual(self.heard(), [HostCame("a", "a:1")])
        self.assertIs(self.view.state, ViewState.WATCHING)

    def test_compacted(self) -> None:
        """What was forgotten before it was heard is found by a list."""
        self.store.put(A, host_value("a:1"))
        self.begin()
        self.heard()
        for watch in self.store.watches:
            watch.silent = True
        self.store.put(B, host_value("b:1"))
        self.store.delete(A)
        self.store.compact()
        self.clock.advance(RENEWAL)
        self.settle()
        self.assertEqual(self.heard(), [HostCame("b", "b:1"), HostLeft("a")])
        self.assertIs(self.view.state, ViewState.WATCHING)

    def test_gone_back(self) -> None:
        """A store that was restored from an older copy is listed again."""
        for _ in range(9):
            self.store.put(A, host_value("a:1"))
        self.begin()
        self.heard()
        self.store.delete(A)
        self.settle()
        self.store.revision = 3
        self.clock.advance(RENEWAL)
        self.settle()
        self.assertIs(self.view.state, ViewState.WATCHING)
        self.assertEqual(self.view.revision, 3)
        self.store.put(B, host_value("b:1"))
        self.settle()
        self.assertIn(HostCame("b", "b:1"), self.heard())

    def test_bad_record(self) -> None:
        """It is skipped, with a line in the log; the next one is believed."""
        self.store.put(A, b"bad")
        self.begin()
        self.store.put(B, host_value("b:1"))
        self.settle()
        self.assertEqual(self.heard(), [HostCame("b", "b:1")])

    def test_long_list(self) -> None:
        """It is dealt with a slice a turn."""
        routes = [Route(b"%d\\.example" % number) for number in range(2 * SLICE)]
        for route in routes:
            self.store.put(route_key(PREFIX, "a", route), route_value(route))
        self.view.begin()
        self.assertEqual(len(self.changes), SLICE)
        self.settle()
        self.assertEqual(len(self.heard()), 2 * SLICE)
        self.assertFalse(self.view.stale)

    def test_observer_fails(self) -> None:
        """A bug of who hears takes nothing along."""

        def fail(change: Change) -> None:
            raise RuntimeError("a bug")

        self.view._changed = fail
        self.store.put(A, host_value("a:1"))
        self.begin()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.view._changed = self.changes.append
        self.store.put(route_key(PREFIX, "a", ONE), route_value(ONE))
        self.settle()
        self.assertEqual(self.heard(), [RouteCame("a", ONE)])

    def test_close(self) -> None:
        """Nothing is heard any more, whatever was under way."""
        self.begin()
        self.view.close()
        self.view.close()
        self.store.put(A, host_value("a:1"))
        self.settle()
        self.assertEqual((self.heard(), self.store.watches), ([], set()))
        self.assertIs(self.view.state, ViewState.CLOSED)
