"""The admin pages, over the core of a proxy in memory."""

import json
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.admin.guard import Guard
from subproxy.admin.metrics import ProxyCollector
from subproxy.admin.overview import Overview
from subproxy.admin.site import Admin, admin_site
from subproxy.config.configuration import parse_configuration
from subproxy.core.balancing.member import MemberState
from subproxy.core.sites.site_table import SiteTable
from subproxy.telemetry.counters import Counters
from subproxy.wire import messages as m
from tests.rigs.world import World

NUMBERS = dict.fromkeys(
    ("in_flight", "waiting", "tunnels", "connections", "subscriptions"), lambda: 0
)
CERTIFICATE = {"path": "/a.pem", "state": "kept", "problem": "broken", "not_after": 7e8}


class AdminCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.ready = True
        self.counters = Counters()
        collector = ProxyCollector(self.counters, self.world.registry, self.world.dispatcher)
        collector.handshakes = {"full": 3, "failed": 0}
        collector.orders = {"issued": 4, "failed": 1}
        collector.clients = {"verified": 2, "none": 0}
        collector.certificates = lambda: [CERTIFICATE]
        collector.gauges["lag"] = ("Lag.", lambda: 0.25)
        collectors = CollectorRegistry()
        collectors.register(collector)
        self.admin = Admin(
            self.world.registry,
            self.world.router,
            self.world.clock.seconds,
            self.world.dispatcher.capacity,
            lambda: self.ready,
            lambda: self.reloaded,
            lambda: [CERTIFICATE],
            Overview(self.counters, self.world.registry, self.world.clock.seconds, NUMBERS).look,
        )
        self.reloaded: dict[str, Any] = {"problems": [], "applied": ["policy"], "hand_over": []}
        self.site = admin_site(self.admin, collectors, Guard(), self.world.clock)
        self.site.doStart()
        self.addCleanup(self.site.doStop)

    def ask(self, target: str, method: str = "GET") -> tuple[int, str]:
        protocol = self.site.buildProtocol(None)
        transport = StringTransport(hostAddress=UNIXAddress("/run/admin.sock"))
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


class AdminTests(AdminCase):
    def test_health(self) -> None:
        """Healthy while it answers; ready until it stops."""
        self.assertEqual(self.ask("/healthz"), (200, "ok\n"))
        self.assertEqual(self.ask("/readyz"), (200, "ready\n"))
        self.ready = False
        self.assertEqual(self.ask("/readyz"), (503, "stopping\n"))

    def test_head(self) -> None:
        """As load balancers ask: how long the page is, no body, and one line in the log."""
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        for page in (
            "/healthz",
            "/readyz",
            "/metrics",
            "/",
            "/static/page.js",
            "/api/routes",
            "/no",
        ):
            protocol = self.site.buildProtocol(None)
            transport = StringTransport(hostAddress=UNIXAddress("/run/admin.sock"))
            protocol.makeConnection(transport)
            protocol.dataReceived(f"HEAD {page} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head, _, body = transport.value().partition(b"\r\n\r\n")
            size = len(self.ask(page)[1].encode())
            self.assertEqual(body, b"")
            self.assertIn(b"\r\nContent-Length: %d\r\n" % size, head + b"\r\n")
            protocol.connectionLost(Failure(ConnectionDone()))
            said = [formatEvent(event) for event in events]
            self.assertEqual(["HEAD" in each for each in said], [True, False], said)
            events.clear()

    def test_reload(self) -> None:
        """POST alone reloads; what is wrong with the files is told; without any it is no use."""
        self.assertEqual(self.ask("/api/reload")[0], 405)
        self.assertEqual(self.data("/api/reload", "POST"), self.reloaded)
        self.reloaded = {"problems": ["f:1:1: x"], "applied": [], "hand_over": []}
        status, body = self.ask("/api/reload", "POST")
        self.assertEqual((status, json.loads(body)["problems"]), (422, ["f:1:1: x"]))
        self.admin.reload = None
        self.site = admin_site(self.admin, CollectorRegistry(), Guard(), self.world.clock)
        self.site.doStart()
        self.addCleanup(self.site.doStop)
        self.assertEqual(self.ask("/api/reload", "POST")[0], 409)

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

    def test_hosts(self) -> None:
        """Other hosts, where some are named."""
        self.assertEqual(self.ask("/api/hosts")[0], 409)
        self.admin.hosts = lambda: {"host": "kvm-1", "cluster": None, "hosts": []}
        self.assertEqual(self.data("/api/hosts")["host"], "kvm-1")

    def test_certificates(self) -> None:
        self.assertEqual(self.data("/api/certificates"), {"certificates": [CERTIFICATE]})
        self.admin.certificates = None
        self.assertEqual(self.ask("/api/certificates")[0], 409)

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

    def test_explain_sites(self) -> None:
        """Which rules a request meets, by which site; not what a narrower one lifts."""
        sites = parse_configuration(
            '[[site]]\nhosts = "*"\nhold = 5\nnetworks = "unix"\nrate = 5\n'
            '[[site]]\nhosts = "a.example"\npaths = "/x"\nrate = 0\nmax-body = 7\nhold = 9\n'
        ).sites
        self.world.router.set_sites(SiteTable(sites))
        said = {
            each["rule"]: (each["site"], each["each_request"])
            for each in self.data("/api/explain?url=http://a.example/x/y")["site_rules"]
        }
        self.assertEqual(
            said,
            {
                "max-body": ("a.example/x", False),
                "hold": ("a.example/x", False),
                "networks": ("*/", True),
            },
        )
        self.world.router.set_sites(SiteTable(()))
        self.assertEqual(self.data("/api/explain?url=http://a.example/x")["site_rules"], [])

    def test_page(self) -> None:
        """What is routed where, as tables; the same as data; and no way to sign out of a socket."""
        self.world.serving("1")
        status, page = self.ask("/")
        self.assertEqual(status, 200)
        self.assertIn("<td>ready</td>", page)
        self.assertNotIn("Sign out", page)
        self.assertEqual(self.data("/api/overview")["subscribers"][0]["id"], "vm:1/app/0")
        for name in ("page.css", "page.js", "icon.svg"):
            self.assertEqual(self.ask(f"/static/{name}")[0], 200)
        for name in ("page.html", "..", "%2e%2e/site.py", ""):
            self.assertEqual(self.ask(f"/static/{name}")[0], 404)
        self.admin.overview = None
        self.assertEqual(self.ask("/")[0], 404)

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

    def test_overview_of_other_hosts(self) -> None:
        """They are in it where there are some."""
        self.assertEqual(self.data("/api/overview")["hosts"], [])
        hosts = [{"host": "kvm-2"}]
        self.admin.hosts = lambda: {"host": "kvm-1", "cluster": None, "hosts": hosts}
        found = self.data("/api/overview")
        self.assertEqual((found["hosts"], found["cluster"]), (hosts, None))

    def test_weight(self) -> None:
        """By name, in place of what it asks for, until it is taken back."""
        self.world.serving("1", weight=200)
        self.admin.assigned = self.world.registrar.assigned
        found = self.data("/api/weight/vm:1?weight=10", "POST")
        self.assertEqual(found, {"subscribers": ["vm:1/app/0"]})
        (member,) = self.data("/api/subscribers")["subscribers"]
        self.assertEqual((member["weight"], member["assigned"]), (0.1, True))
        self.world.serving("1", instance=b"i2")
        weights = [each.weight for each in self.world.registry.members()]
        self.assertEqual(weights[-1], 0.1)
        # As the parent of workers tells each of them.
        self.assertEqual(self.admin.reply("assigned", '{"weights": {"vm:1": 0.5}}'), ({}, 200))
        self.assertEqual({each.weight for each in self.world.registry.members()}, {0.5})
        self.data("/api/weight/vm:1", "DELETE")
        self.assertEqual({each.weight for each in self.world.registry.members()} - {2.0}, {1.0})
        # Who has gone would have it again when it comes back: it can be taken back before.
        self.data("/api/weight/vm:1?weight=10", "POST")
        for member in list(self.world.registry.members()):
            self.world.registry.remove(member, 0.0)
        self.assertEqual(self.data("/api/weight/vm:1", "DELETE"), {"subscribers": []})
        self.assertEqual(self.admin.assigned.weights.given, {})
        self.assertEqual(self.ask("/api/weight/vm:1", "DELETE")[0], 404)
        for target, method, status in (
            ("/api/weight/vm:1", "GET", 405),
            ("/api/weight/vm:2?weight=10", "POST", 404),
            ("/api/weight/vm:1", "POST", 400),
            ("/api/weight/vm:1?weight=0", "POST", 400),
            ("/api/weight/vm:1?weight=1001", "POST", 400),
            ("/api/weight/vm:1?weight=1.5", "POST", 400),
            ("/api/weight/vm:1?weight=-1", "POST", 400),
        ):
            self.assertEqual(self.ask(target, method)[0], status, target)

    def test_failing(self) -> None:
        """Who fails, how often in a row, and for how long it gets nothing."""
        for name in ("1", "2"):
            self.world.serving(name)
        failing = self.world.dispatcher.failing
        member = next(iter(self.world.registry.members()))
        failing.answered(member, 500)
        (first, _) = self.data("/api/subscribers")["subscribers"]
        self.assertEqual((first["failures"], first["out_for"]), (1, None))
        for _ in range(9):
            failing.answered(member, 500)
        self.world.advance(1.0)
        (first, _) = self.data("/api/explain?url=http://a.example/")["subscribers"]
        self.assertEqual((first["state"], first["out_for"]), ("failing", 29.0))
        self.assertIn('subproxy_ejections_total{reason="in-a-row"} 1.0\n', self.ask("/metrics")[1])
        self.data("/api/drain/vm:1", "DELETE")
        self.assertEqual(member.state, MemberState.READY)

    def test_drained_when_it_comes_back(self) -> None:
        """Whatever instance it is, and until it is taken back, which can be before it comes."""
        self.admin.assigned = self.world.registrar.assigned
        self.world.serving("1")
        self.world.serving("11")
        self.assertEqual(self.data("/api/drain/vm:1", "POST"), {"subscribers": ["vm:1/app/0"]})
        self.world.serving("1", instance=b"i2")
        found = self.data("/api/subscribers")["subscribers"]
        states = {(each["id"], each["state"]) for each in found}
        self.assertEqual(states, {("vm:1/app/0", "draining"), ("vm:11/app/0", "ready")})
        for member in list(self.world.registry.members()):
            self.world.registry.remove(member, 0.0)
        self.assertEqual(self.data("/api/drain/vm:1", "DELETE"), {"subscribers": []})
        self.assertEqual(self.ask("/api/drain/vm:1", "DELETE")[0], 404)
        # As the parent of workers tells each of them.
        self.world.serving("1", instance=b"i3")
        self.assertEqual(self.admin.reply("assigned", '{"drained": {"vm:1": true}}'), ({}, 200))
        states = {MemberState(each.state) for each in self.world.registry.members()}
        self.assertEqual(states, {MemberState.DRAINING})
        # One that began to serve while others were asked has not heard of it.
        self.assertEqual(self.admin.reply("assigned", '{"drained": {}}'), ({}, 200))
        states = {MemberState(each.state) for each in self.world.registry.members()}
        self.assertEqual(states, {MemberState.READY})

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
            'subproxy_tls_handshakes_total{outcome="full"} 3.0',
            'subproxy_acme_orders_total{outcome="issued"} 4.0',
            'subproxy_tls_client_certificates_total{outcome="verified"} 2.0',
            'subproxy_certificate_expiry_timestamp_seconds{path="/a.pem"} 7e+08',
            'subproxy_certificate_usable{path="/a.pem",state="kept"} 0.0',
            'subproxy_retry_decisions_total{decision="retry"} 0.0',
        ):
            self.assertIn(line + "\n", body)
