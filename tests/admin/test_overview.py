"""What the page shows of a proxy in memory."""

from __future__ import annotations

from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from subproxy.admin import overview as overview_module
from subproxy.admin.overview import Overview
from subproxy.core.balancing.member import MemberEvent
from subproxy.telemetry.counters import Counters
from tests.rigs.world import World


class OverviewTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.counters = Counters()
        self.overview = Overview(
            self.counters, self.world.registry, self.world.clock.seconds, {"tunnels": lambda: 3}
        )

    def test_numbers(self) -> None:
        """Counts of each route, and of all, those without one among them."""
        self.world.serving("1")
        (pool,) = self.world.registry.pools()
        for counters in (self.counters.of(pool), self.counters.of(None)):
            counters.statuses.update({200: 3, 502: 1})
            counters.first_byte.add(0.25)
        data = self.overview.look()
        (route,) = data["routes"]
        expected = {"requests": 4, "errors": 1, "answers": 1, "first_byte": 0.25}
        self.assertEqual({name: route[name] for name in expected}, expected)
        self.assertEqual((data["totals"]["requests"], data["totals"]["tunnels"]), (8, 3))
        (subscriber,) = data["subscribers"]
        self.assertEqual((subscriber["id"], subscriber["routes"]), ("vm:1/app/0", 1))

    def test_a_route_that_nobody_has_asked(self) -> None:
        """It counts nothing, and its counters are not made by a look."""
        self.world.serving("1")
        (route,) = self.overview.look()["routes"]
        self.assertEqual(route["requests"], 0)
        self.assertEqual(self.counters.routes, {})

    def test_many(self) -> None:
        """Those in trouble are shown; how many there are is told."""
        for number in range(5):
            guest = self.world.serving(str(number), b"h%d\\.example" % number)
        guest.lose()
        last = max(self.world.registry.members(), key=lambda member: member.identity)
        last.feed(MemberEvent.DRAIN, 0.0)
        with mock.patch.object(overview_module, "MOST_ROWS", 2):
            data = self.overview.look()
        self.assertEqual(
            [route["host"] for route in data["routes"]], ["h3\\.example", "h4\\.example"]
        )
        self.assertEqual([each["id"] for each in data["subscribers"]], ["vm:0/app/0", "vm:3/app/0"])
        self.assertEqual((data["routes_in_all"], data["subscribers_in_all"]), (5, 4))
