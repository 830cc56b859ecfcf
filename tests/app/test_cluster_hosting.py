"""What a parent publishes of its workers' guests, and what it tells workers of other hosts."""

from __future__ import annotations

import os
import socket
from typing import Any, cast

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app.cluster_hosting import MAX_WAITING, ClusterHosting
from subproxy.app.guest_placing import PATIENCE
from subproxy.app.host_news import ROUTES_A_MESSAGE, HostNews, RouteNews
from subproxy.cluster.memory_store import MemoryStore
from subproxy.cluster.service import ClusterService
from subproxy.config.settings import Settings
from subproxy.core.routing.route import Route
from subproxy.frontend.peer.host_certificates import HostCertificates
from subproxy.machines.declaration import Machine
from subproxy.process.inherited_sockets import InheritedSockets
from subproxy.workers import messages as msg
from subproxy.workers.host_messages import HostRoutes, PassedHost, PeerHostCame, PeerHostLeft
from subproxy.workers.messages import ChannelMessage
from subproxy.workers.slots import Slots, Worker
from subproxy.workers.states import WorkerState
from tests.cluster.test_service import Host
from tests.rigs.memory_hosts import certificate_files
from tests.rigs.tls_rig import Authority

ONE, TWO = Route(b"one\\.example"), Route(b"two\\.example")
SHOP = Machine("shop", "process", ("shop.example",))


class ToldCrew:
    """Workers that remember what they are told."""

    def __init__(self, count: int) -> None:
        self.slots = Slots(count)
        self.told: list[tuple[int, ChannelMessage]] = []

    def serves(self, slot: int) -> Worker:
        return self.slots.adopt(slot, slot + 1, WorkerState.SERVING, 0.0)

    def send(self, worker: Worker, said: ChannelMessage) -> None:
        self.told.append((worker.slot, said))

    def tell(self, workers: Any, said: ChannelMessage) -> None:
        for each in workers:
            self.send(each, said)


class ClusterHostingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.store = MemoryStore(self.reactor)
        self.other = Host(self.reactor, self.store, "kvm-9")
        self.crew = ToldCrew(2)
        self.first, self.second = self.crew.serves(0), self.crew.serves(1)
        self.hosting = self.make()
        self.hosting.startService()
        self.settle()
        self.crew.told.clear()

    def make(self, table: Any = ()) -> ClusterHosting:
        """The part of a parent, with a store in memory."""
        import subproxy.app.cluster_hosting as module

        def cluster(reactor: Any, settings: Settings, name: str, observer: Any) -> ClusterService:
            return ClusterService(
                reactor, self.store, "/subproxy/", name, f"{name}:1", observer, lambda: 1.0
            )

        self.patch(module, "build_cluster", cluster)
        files = certificate_files(self.mktemp(), "kvm-1", Authority())
        return ClusterHosting(
            self.reactor,
            Settings(cluster=("etcd:http://127.0.0.1:1",), peer_listen="tcp:7443"),
            HostCertificates(*files),
            lambda: cast("Any", self.crew),
            InheritedSockets(),
            table,
        )

    def settle(self) -> None:
        for _ in range(12):
            self.reactor.advance(0)

    def serve(self, worker: Worker, number: int, route: Route, served: bool = True) -> None:
        host, path = route.words()
        self.hosting.came(worker, msg.RouteServed(number, host, path, served))
        self.settle()

    def told(self, slot: int = 0) -> list[ChannelMessage]:
        """What a worker was told since the last call."""
        found = [said for to, said in self.crew.told if to == slot]
        self.crew.told.clear()
        return found

    def test_routes_of_all_workers(self) -> None:
        """A route is published once, as long as a guest of any worker has it."""
        self.serve(self.first, 1, ONE)
        self.serve(self.second, 1, ONE)
        self.assertEqual(self.other.routes, {("kvm-1", ONE)})
        self.serve(self.first, 1, ONE, served=False)
        self.assertEqual(self.other.routes, {("kvm-1", ONE)})
        self.hosting.came(self.second, msg.Left(1))
        self.settle()
        self.assertEqual(self.other.routes, set())

    def test_a_worker_dies(self) -> None:
        """What its guests had is published no more, what others have is."""
        for number, route in enumerate((ONE, TWO)):
            self.serve(self.first, number, route)
        self.serve(self.second, 1, TWO)
        self.hosting.ended(self.first)
        self.settle()
        self.assertEqual(self.other.routes, {("kvm-1", TWO)})

    def test_machines(self) -> None:
        """What is declared is published as such, unless guests serve it."""
        (declared,) = (Route(b"shop\\.example"),)
        self.hosting.declare([SHOP])
        self.settle()
        self.assertEqual(self.other.waking, {("kvm-1", declared)})
        self.assertEqual(self.told()[-1], HostRoutes("", [], [declared.words()], []))
        self.serve(self.first, 1, declared)
        self.assertEqual((self.other.routes, self.other.waking), ({("kvm-1", declared)}, set()))
        self.serve(self.first, 1, declared, served=False)
        self.assertEqual(self.other.waking, {("kvm-1", declared)})
        self.serve(self.first, 1, declared)
        self.hosting.declare([])
        self.settle()
        self.assertEqual((self.other.routes, self.other.waking), ({("kvm-1", declared)}, set()))
        self.serve(self.first, 1, declared, served=False)
        self.assertEqual(self.other.routes, set())

    def test_what_others_serve(self) -> None:
        """All workers are told, of what has changed within a turn at once."""
        self.other.service.serve(ONE)
        self.other.service.serve(TWO, wakes=True)
        self.settle()
        said = HostRoutes("kvm-9", [ONE.words()], [TWO.words()], [])
        self.assertEqual(self.crew.told, [(0, said), (1, said)])
        self.crew.told.clear()
        self.other.service.withdraw(ONE)
        self.settle()
        self.assertEqual(self.told(1), [HostRoutes("kvm-9", [], [], [ONE.words()])])
        self.successResultOf(self.other.service.stopService())
        self.settle()
        self.assertEqual(
            self.told(), [PeerHostLeft("kvm-9"), HostRoutes("kvm-9", [], [], [TWO.words()])]
        )

    def test_introduction(self) -> None:
        """A new worker hears all of it before anything else, and nothing twice."""
        self.other.service.serve(TWO)
        self.settle()
        self.serve(self.first, 1, ONE)
        self.crew.told.clear()
        self.hosting.declare([SHOP])
        third = self.crew.serves(2)
        found = self.hosting.introduction(third)
        self.assertEqual(
            found,
            [
                PeerHostCame("kvm-9", "kvm-9:1"),
                HostRoutes("kvm-9", [TWO.words()], [], []),
                HostRoutes("", [ONE.words()], [["shop\\.example", "/.*"]], []),
            ],
        )
        self.settle()
        self.assertEqual(self.told(2), [])

    def test_the_next_program(self) -> None:
        """It knows what the former one did, tells workers what differs, and publishes again."""
        self.other.service.serve(ONE)
        self.settle()
        self.serve(self.first, 7, TWO)
        self.hosting.pause()
        self.crew.told.clear()
        self.other.service.withdraw(ONE)
        self.settle()
        self.assertEqual(self.told(), [])
        after = self.make(self.hosting.data())
        self.assertEqual(
            after.introduction(self.second)[:2],
            [PeerHostCame("kvm-9", "kvm-9:1"), HostRoutes("kvm-9", [ONE.words()], [], [])],
        )
        after.restore([(self.first.serial, 7, tuple(TWO.words()))])
        after.startService()
        self.settle()
        self.assertIn(HostRoutes("kvm-9", [], [], [ONE.words()]), self.told())
        for _ in range(30):
            self.reactor.advance(0.5)
            self.settle()
        self.assertEqual(self.other.routes, {("kvm-1", TWO)})
        after.came(self.first, msg.Left(7))
        self.settle()
        self.assertEqual(self.other.routes, set())

    def test_it_does_not_come(self) -> None:
        """What has changed meanwhile is told."""
        self.hosting.pause()
        self.other.service.serve(ONE)
        self.settle()
        self.hosting.go_on()
        self.settle()
        self.assertEqual(self.told(), [HostRoutes("kvm-9", [ONE.words()], [], [])])

    def test_leave(self) -> None:
        """A parent that stops has nothing in the store."""
        self.serve(self.first, 1, ONE)
        self.successResultOf(self.hosting.leave())
        self.settle()
        self.assertEqual((self.other.routes, self.other.hosts), (set(), {}))

    def test_who_dials(self) -> None:
        """A connection goes to the worker that it is for, as soon as that is there."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.hosting.place(3, ours.fileno(), b"hello")
        self.assertEqual(self.told(1), [PassedHost(payload=b"hello", descriptors=(ours.fileno(),))])
        self.second.go(WorkerState.RETIRING)
        descriptors = [os.dup(ours.fileno()) for _ in range(2)]
        self.hosting.place(1, descriptors[0], b"")
        self.hosting.retry()
        self.assertEqual(self.told(1), [])
        self.crew.slots.adopt(1, 9, WorkerState.SERVING, 0.0)
        self.hosting.retry()
        self.assertEqual(self.told(1), [PassedHost(descriptors=(descriptors[0],))])
        os.close(descriptors[0])
        self.first.go(WorkerState.RETIRING)
        self.hosting.place(0, descriptors[1], b"")
        self.reactor.advance(PATIENCE)
        self.hosting.retry()
        self.assertRaises(OSError, os.fstat, descriptors[1])

    def test_too_many_dial(self) -> None:
        """Anybody can say that he is for a worker that is not there: he is not kept for long."""
        self.second.go(WorkerState.RETIRING)
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        descriptors = [os.dup(ours.fileno()) for _ in range(MAX_WAITING + 1)]
        for each in descriptors:
            self.hosting.place(1, each, b"")
        self.assertRaises(OSError, os.fstat, descriptors[-1])
        os.fstat(descriptors[-2])
        self.reactor.advance(PATIENCE)
        self.hosting.retry()
        for each in descriptors:
            self.assertRaises(OSError, os.fstat, each)


class HostNewsTests(SynchronousTestCase):
    def test_the_last_counts(self) -> None:
        """Of a route what is true now is told, a few in each message."""
        news = HostNews()
        self.assertFalse(news)
        routes = [Route(b"a%d\\.example" % number) for number in range(ROUTES_A_MESSAGE + 1)]
        for kind in (RouteNews.WITHDRAWN, RouteNews.SERVES):
            for route in routes:
                news.add("kvm-2", route, kind)
        found = list(news.take())
        self.assertEqual([len(each.serves) for each in found], [ROUTES_A_MESSAGE, 1])
        self.assertEqual([each.withdrawn for each in found], [[], []])
        self.assertFalse(news)
