"""The records of other hosts: what changes in them, whichever way it comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.cluster.cluster_table import (
    Change,
    ClusterTable,
    HostCame,
    HostLeft,
    RecordSkipped,
    RouteCame,
    RouteLeft,
)
from subproxy.cluster.records import host_key, host_value, route_key, route_value
from subproxy.core.routing.route import Route

PREFIX = "/subproxy/"
ONE, TWO = Route(b"one\\.example"), Route(b"two\\.example")

KEYS = [
    host_key(PREFIX, "kvm-1"),
    host_key(PREFIX, "kvm-2"),
    host_key(PREFIX, "own"),
    *(route_key(PREFIX, name, route) for name in ("kvm-1", "kvm-2", "own") for route in (ONE, TWO)),
    b"/subproxy/routes/kvm-1/none",
    b"/subproxy/else",
]
VALUES = [host_value("a:1"), host_value("b:2"), route_value(ONE), route_value(TWO), b"bad"]


class Heard:
    """What somebody knows who hears each change, and whether it makes sense."""

    def __init__(self) -> None:
        self.hosts: dict[str, str] = {}
        self.routes: set[tuple[str, Route]] = set()
        self.skipped = 0

    def hear(self, change: Change) -> None:
        match change:
            case HostCame():
                assert self.hosts.get(change.name) != change.address
                self.hosts[change.name] = change.address
            case HostLeft():
                del self.hosts[change.name]
            case RouteCame():
                assert (change.name, change.route) not in self.routes
                self.routes.add((change.name, change.route))
            case RouteLeft():
                self.routes.remove((change.name, change.route))
            case RecordSkipped():
                self.skipped += 1


items = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))


class TableTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.table = ClusterTable(PREFIX, "own")

    def test_host(self) -> None:
        """It comes, moves, and leaves; the same again is no news."""
        key = host_key(PREFIX, "kvm-1")
        self.assertEqual(list(self.table.put(key, host_value("a:1"))), [HostCame("kvm-1", "a:1")])
        self.assertEqual(list(self.table.put(key, host_value("a:1"))), [])
        self.assertEqual(list(self.table.put(key, host_value("b:2"))), [HostCame("kvm-1", "b:2")])
        self.assertEqual(list(self.table.delete(key)), [HostLeft("kvm-1")])
        self.assertEqual(list(self.table.delete(key)), [])

    def test_route(self) -> None:
        """It comes once, however often it is written, and leaves."""
        key, value = route_key(PREFIX, "kvm-1", ONE), route_value(ONE)
        self.assertEqual(list(self.table.put(key, value)), [RouteCame("kvm-1", ONE)])
        self.assertEqual(list(self.table.put(key, value + b" ")), [])
        self.assertEqual(self.table.routes_of(), {"kvm-1": 1})
        self.assertEqual(list(self.table.delete(key)), [RouteLeft("kvm-1", ONE)])
        self.assertEqual(self.table.routes, 0)

    def test_own(self) -> None:
        """What this host has published is no news."""
        self.assertEqual(list(self.table.put(host_key(PREFIX, "own"), host_value("a:1"))), [])
        self.assertEqual(list(self.table.put(route_key(PREFIX, "own", ONE), route_value(ONE))), [])
        self.assertEqual(self.table.routes_of(), {})

    def test_bad(self) -> None:
        """A bad record is skipped once; what stood in its place is gone."""
        key = route_key(PREFIX, "kvm-1", ONE)
        list(self.table.put(key, route_value(ONE)))
        left, skipped = self.table.put(key, b"bad")
        self.assertEqual(left, RouteLeft("kvm-1", ONE))
        self.assertEqual(skipped, RecordSkipped(key, "it is no JSON"))
        self.assertEqual(list(self.table.put(key, b"bad")), [])
        self.assertEqual(list(self.table.delete(key)), [])

    def test_bad_route_of_a_host(self) -> None:
        """A bad record of a route that is deleted does not take its host along."""
        list(self.table.put(host_key(PREFIX, "kvm-1"), host_value("a:1")))
        list(self.table.put(b"/subproxy/routes/kvm-1/none", b"bad"))
        self.assertEqual(list(self.table.delete(b"/subproxy/routes/kvm-1/none")), [])
        self.assertEqual(self.table.hosts, {"kvm-1": "a:1"})

    def test_moved(self) -> None:
        """A route that another host serves now has come there before it leaves."""
        list(self.table.put(route_key(PREFIX, "kvm-1", ONE), route_value(ONE)))
        new = [(route_key(PREFIX, "kvm-2", ONE), route_value(ONE))]
        self.assertEqual(
            list(self.table.replace(new)), [RouteCame("kvm-2", ONE), RouteLeft("kvm-1", ONE)]
        )

    @given(st.lists(st.tuples(st.booleans(), items)))
    def test_both_ways(self, steps: list[tuple[bool, dict[bytes, bytes]]]) -> None:
        """Lists and watches, mixed, come to what a single list of the end comes to."""
        table, heard = ClusterTable(PREFIX, "own"), Heard()
        now: dict[bytes, bytes] = {}
        for as_list, wanted in steps:
            if as_list:
                changes = list(table.replace(wanted.items()))
            else:
                changes = []
                for key in [*now, *wanted]:
                    if key in wanted:
                        changes += table.put(key, wanted[key])
                    else:
                        changes += table.delete(key)
            now = wanted
            for change in changes:
                heard.hear(change)
        fresh, whole = ClusterTable(PREFIX, "own"), Heard()
        for change in fresh.replace(now.items()):
            whole.hear(change)
        self.assertEqual((heard.hosts, heard.routes), (whole.hosts, whole.routes))
        self.assertEqual(table.routes_of(), fresh.routes_of())
        self.assertEqual((table.hosts, table.routes), (fresh.hosts, fresh.routes))
