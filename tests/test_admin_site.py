"""The admin pages, over the core of a proxy in memory."""

import json
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.admin.counters import Counters
from subproxy.admin.metrics import ProxyCollector
from subproxy.admin.site import Admin, admin_site
from subproxy.wire import messages as m

from .world import World


class AdminTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.ready = True
        self.counters = Counters()
        collector = ProxyCollector(self.counters, self.world.registry, self.world.dispatcher)
        collector.gauges["lag"] = ("Lag.", lambda: 0.25)
        collectors = CollectorRegistry()
        collectors.register(collector)
        self.admin = Admin(
            self.world.registry,
            self.world.router,
            self.world.clock.seconds,
            self.world.dispatcher.capacity,
            lambda: self.ready,
        )
        self.site = admin_site(self.admin, collectors)
        self.site.doStart()
        self.addCleanup(self.site.doStop)

    def ask(self, target: str, method: str = "GET") -> tuple[int, str]:
        protocol = self.site.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        request = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        protocol.dataReceived(request.encode())
        head, _, body = transport.value().decode().partition("\r\n\r\n")
        protocol.connectionLost(Failure(ConnectionDone()))
        return int(head.split()[1]), body

    def data(self, target: str, method: str = "GET") -> Any:
        status, body = self.ask(target, method)
        self.assertEqual(status, 200, body)
        return json.loads(body)

    def test_health(self) -> None:
        """Healthy while it answers; ready until it stops."""
        self.assertEqual(self.ask("/healthz"), (200, "ok\n"))
        self.assertEqual(self.ask("/readyz"), (200, "ready\n"))
        self.ready = False
        self.assertEqual(self.ask("/readyz"), (503, "stopping\n"))

    def test_routes(self) -> None:
        """Routes in the order of precedence, with who serves them."""
        guest = self.world.serving("1", b".*")
        guest.register(b"a\\.example", b"/x/.*", reference=2)
        routes = self.data("/api/routes")["routes"]
        self.assertEqual([route["host"] for route in routes], ["a\\.example", ".*"])
        self.assertEqual(routes[0]["subscribers"], ["vm:1/app/0"])
        self.assertFalse(routes[0]["vacant"])
        guest.lose()
        self.assertTrue(self.data("/api/routes")["routes"][0]["vacant"])

    def test_subscribers(self) -> None:
        """What the balancer knows of each."""
        self.world.serving("1", concurrency=3, weight=200)
        self.world.ask()
        (member,) = self.data("/api/subscribers")["subscribers"]
        self.assertEqual(
            (member["identity"], member["state"], member["in_flight"], member["weight"]),
            ("vm:1", "ready", 1, 2.0),
        )
        self.assertEqual(member["concurrency"], 3)
        self.assertGreater(member["score"], 0)

    def test_explain(self) -> None:
        """Which route wins, why, and who would be asked."""
        guest = self.world.serving("1", b".*")
        guest.register(b"a\\.example", b"/x/.*", reference=2)
        data = self.data("/api/explain?url=http://A.example:80/x/y%3Fz")
        self.assertEqual(data["route"]["path"], "/x/.*")
        self.assertIn("literal host", data["reason"])
        self.assertEqual(len(data["candidates"]), 2)
        self.assertEqual(data["subscribers"][0]["id"], "vm:1/app/0")
        data = self.data("/api/explain?url=b.example")
        self.assertEqual(data["route"]["host"], ".*")
        for bad in ("/api/explain", "/api/explain?url=http:///", "/api/explain?url=http://[x/"):
            self.assertEqual(self.ask(bad)[0], 400)

    def test_explain_nothing(self) -> None:
        """No route is an answer too."""
        data = self.data("/api/explain?url=http://nobody/")
        self.assertIsNone(data["route"])
        self.assertIn("no route", data["reason"])

    def test_drain_and_back(self) -> None:
        """A drained subscriber gets nothing new until it is taken back."""
        guest = self.world.serving("1")
        data = self.data("/api/drain/vm:1", "POST")
        self.assertEqual(data, {"subscribers": ["vm:1/app/0"]})
        _, sink = self.world.ask()
        guest.pump()
        self.assertEqual(guest.take(m.Request), [])
        self.data("/api/drain/vm:1/app/0", "DELETE")
        guest.pump()
        self.assertEqual(len(guest.take(m.Request)), 1)
        self.assertIsNone(sink.error)

    def test_drain_of_nobody(self) -> None:
        """A name that nobody has is told, and a prefix of a name is no name."""
        self.world.serving("1")
        for name in ("vm:2", "vm", "vm:1/ap"):
            status, body = self.ask(f"/api/drain/{name}", "POST")
            self.assertEqual(status, 404)
            self.assertIn(name, body)

    def test_methods(self) -> None:
        """Draining by GET is not allowed, and unknown pages are not found."""
        self.assertEqual(self.ask("/api/drain/vm:1")[0], 405)
        self.assertEqual(self.ask("/nothing")[0], 404)

    def test_metrics(self) -> None:
        """What Prometheus reads: by route, and by subscriber."""
        self.world.serving("1", b"a\\.example")
        status, body = self.ask("/metrics")
        self.assertEqual(status, 200)
        for line in (
            'subproxy_subscriber_ready{application="app",identity="vm:1",worker="0"} 1.0',
            "subproxy_routes 1.0",
            "subproxy_waiting 0.0",
            "subproxy_lag 0.25",
            'subproxy_retry_decisions_total{decision="retry"} 0.0',
        ):
            self.assertIn(line + "\n", body)
