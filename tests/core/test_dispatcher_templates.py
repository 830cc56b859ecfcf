"""Hosts of a template: whose request has a machine made, and who is told to come again."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.admission import Admission, AdmissionLimits
from subproxy.core.balancing.member import Pool
from subproxy.core.balancing.pool_owner import PoolOwner
from subproxy.core.routing.route import Route
from subproxy.core.sites.site_table import SiteTable
from subproxy.errors import MachineDown, NoRoute, ProxyError, QueueFull
from tests.rigs.private_site import sites_of
from tests.rigs.world import RecordingSink, World


class TemplateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.template = PoolOwner("template", 30.0)
        self.machine = PoolOwner("machine", 30.0)
        self.template.concrete = self.make
        self.world.registry.owner_of = lambda route: self.template
        self.world.registry.declare(Route(rb".*\.a\.example"), 0.0)
        self.made: list[tuple[bytes, bytes]] = []
        self.answer: ProxyError | None = None

    def make(self, host: bytes, path: bytes) -> Pool | ProxyError:
        """The pool of a machine of that host."""
        self.made.append((host, path))
        if self.answer is not None:
            return self.answer
        self.world.registry.owner_of = lambda route: self.machine
        return self.world.registry.declare(Route(host.replace(b".", rb"\.")), 0.0)

    def ask(self, method: bytes = b"GET", host: bytes = b"x.a.example") -> RecordingSink:
        return self.world.ask(method, host=host, target=b"/y")[1]

    def room(self, total: int) -> None:
        admission = Admission(self.world.admission.balancer, self.world.random)
        admission.set_limits(AdmissionLimits(total=total))
        self.world.dispatcher.admission = self.world.admission = admission

    def test_a_machine_is_made(self) -> None:
        """Once: its own pool has the next requests."""
        for _ in range(2):
            self.assertIsNone(self.ask().error)
        self.assertEqual(self.made, [(b"x.a.example", b"/y")])
        self.assertEqual((self.machine.waiting, self.template.waiting), (2, 0))

    def test_none_can_be_made(self) -> None:
        self.answer = NoRoute()
        self.assertIs(self.ask().error, self.answer)
        self.assertEqual(self.world.admission.waiting, 0)

    def test_there_is_no_room_to_wait(self) -> None:
        """As many as may wait do; of the next one no machine is made."""
        self.room(1)
        self.assertIsNone(self.ask().error)
        error = self.ask(host=b"z.a.example").error
        assert isinstance(error, QueueFull)
        self.assertEqual((error.retry_after, len(self.made)), (1, 1))

    def test_who_may_not_wake_it(self) -> None:
        sites = sites_of('[[site]]\nhosts = "*.a.example"\nwake = ["GET"]\n')
        self.world.router.set_sites(SiteTable(sites))
        error = self.ask(b"POST").error
        assert isinstance(error, MachineDown)
        self.assertEqual((error.retry_after, self.made), (1, []))
        self.assertIsNone(self.ask(b"GET").error)
        self.assertEqual(len(self.made), 1)
