"""Hosts whose TLS is a guest's: who may have it, and what becomes of a client."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.admin.view import subscribers_view
from subproxy.core.access.policy import Policy, parse_policy
from subproxy.core.exchange import Exchange, ExchangeState
from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.host_names import HostNames
from subproxy.core.http.request import RequestHead
from subproxy.core.http.upgrade import PASSTHROUGH, Upgrade
from subproxy.core.sites.site_table import SiteTable
from subproxy.errors import NoRoute, NotImplementedHere
from subproxy.wire import messages as m
from tests.rigs.private_site import key_file, sites_of
from tests.rigs.world import Guest, RecordingSink, World

POLICY = """
[[guest]]
identity = "vm:1"
hosts = ["mail.example", "*.keys.example"]
passthrough = true
[[guest]]
identity = "vm:2"
hosts = ["mail.example"]
paths = ["/api"]
[[guest]]
identity = "vm:3"
hosts = ["web.example"]
"""


class PassthroughRouteTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.registrar = self.world.registrar
        self.registrar.passes_tls = True
        self.registrar.policy = Policy(passthrough=True)

    def guest(self, identity: str = "1", tunnel: tuple[bytes, ...] = (b"tls",)) -> Guest:
        guest = self.world.guest(identity)
        guest.hello(instance=identity.encode(), tunnel=list(tunnel))
        return guest

    def register(self, guest: Guest, host: bytes, path: bytes = b"/.*", reference: int = 1) -> str:
        """What came of it: C{passthrough}, or the reason why not."""
        guest.events.clear()
        guest.say(m.Register(reference, host, path, {b"passthrough": True}))
        answers = [*guest.take(m.Registered), *guest.take(m.Refused)]
        self.assertEqual(1, len(answers))
        if isinstance(answers[0], m.Registered):
            self.assertEqual({b"passthrough": True}, answers[0].info)
            return "passthrough"
        return f"{answers[0].code.decode()}: {answers[0].reason.decode()}"

    def come(self, host: bytes = b"mail.example") -> tuple[Exchange, RecordingSink]:
        """A client that has said hello."""
        tls = ClientTls(HostNames(()), host)
        tls.version = b"1.3"
        sink = RecordingSink()
        request = RequestHead(
            b"CONNECT",
            host + b":443",
            host,
            b"/",
            [],
            client=b"192.0.2.9",
            scheme=b"https",
            version=b"",
            request_id=b"id",
            upgrade=PASSTHROUGH,
            tls=tls,
        )
        exchange = Exchange(request, b"", sink)
        self.world.dispatcher.dispatch(exchange)
        return exchange, sink

    def test_begins(self) -> None:
        """What the guest is asked, as docs/protocol.md has it; and both halves."""
        guest = self.guest()
        self.assertEqual("passthrough", self.register(guest, b"mail\\.example"))
        exchange, _ = self.come()
        guest.pump()
        (request,) = guest.take(m.Request)
        self.assertEqual(
            m.Request(
                request.exchange,
                b"CONNECT",
                b"mail.example:443",
                [],
                {
                    b"client": b"192.0.2.9",
                    b"id": b"id",
                    b"tunnel": b"tls",
                    b"tls": {b"version": b"1.3", b"sni": b"mail.example"},
                },
                None,
            ),
            request,
        )
        guest.say(m.Response(request.exchange, 200, [], {}, None))
        self.assertEqual(b"tls", exchange.tunnel)
        (seen,) = subscribers_view(self.world.registry, 0.0)["subscribers"]
        self.assertEqual((1, 0), (seen["tunnels"], seen["in_flight"]))
        guest.wire.consumed(request.exchange, 0)
        guest.pump()
        exchange.request_data(b"hello")
        guest.pump()
        self.assertEqual([b"hello"], [each.data for each in guest.take(m.Body)])

    def test_no_other_routes(self) -> None:
        """The name has none for HTTP, however special; others keep theirs; and it comes back."""
        guest = self.guest()
        for reference, path in enumerate((b"/.*", b"/api", b"/api/.*"), 2):
            guest.register(b"mail\\.example", path, reference)
        guest.register(b"web\\.example", reference=9)
        lookup = self.world.router.lookup
        self.assertIsNotNone(lookup(b"mail.example", b"/api"))
        self.register(guest, b".*\\.example", reference=10)
        self.assertIsNone(lookup(b"mail.example", b"/api"))
        self.assertIsNone(lookup(b"web.example", b"/"))
        self.assertIsNotNone(self.world.router.passthrough(b"web.example"))
        guest.say(m.Unregister(10))
        self.world.advance(11)
        self.assertIsNotNone(lookup(b"mail.example", b"/api"))
        self.assertIsNone(self.world.router.passthrough(b"web.example"))

    def test_both_kinds(self) -> None:
        """The same patterns are two routes; to give one back leaves the other."""
        guest = self.guest()
        guest.register(b"mail\\.example", reference=1)
        self.register(guest, b"mail\\.example", reference=2)
        self.assertEqual(2, len(self.world.registry))
        guest.say(m.Unregister(1))
        self.assertEqual("passthrough", self.register(self.guest("2"), b"MAIL\\.example"))
        pool = self.world.router.passthrough(b"mail.example")
        assert pool is not None
        self.assertEqual(2, len(pool.members))

    def test_not_granted(self) -> None:
        """Where it means nothing, that is said: it is never a route for HTTP."""
        for host, path, tunnel, reason in (
            (b"a", b"/x", (b"tls",), "for all paths"),
            (b"a", b"/.*", (b"websocket",), "names no tunnel"),
        ):
            said = self.register(self.guest("1", tunnel), host, path)
            self.assertTrue(said.startswith("passthrough: ") and reason in said, said)
        self.registrar.passes_tls = False
        self.assertIn("do not come over TLS", self.register(self.guest("2"), b"a"))
        self.assertEqual(0, len(self.world.registry))

    def test_policy(self) -> None:
        """It must say so; and nobody's names are taken by somebody else's keys."""
        self.registrar.policy = parse_policy(POLICY)
        guest = self.guest()
        self.assertEqual(
            "policy: mail.example/api belongs to another virtual machine, which would lose it",
            self.register(guest, b"mail\\.example"),
        )
        self.assertEqual("passthrough", self.register(guest, b".*\\.keys\\.example", reference=2))
        self.assertIn("belongs to another", self.register(guest, b"web\\.example", reference=3))
        refused = self.register(self.guest("3"), b"web\\.example")
        self.assertIn("the TLS of clients is not passed through to this", refused)
        self.registrar.policy = Policy()
        self.assertIn("is not passed through", self.register(self.guest("4"), b"x"))

    def test_a_policy_that_changes(self) -> None:
        """What it no longer allows is taken, and nothing else."""
        guest = self.guest()
        self.register(guest, b"mail\\.example")
        guest.register(b"web\\.example", reference=2)
        self.registrar.policy = Policy()
        self.world.factory.policy_changed()
        guest.pump()
        self.assertEqual([1], [each.reference for each in guest.take(m.Refused)])
        self.assertIsNotNone(self.world.router.lookup(b"web.example", b"/"))

    def test_waits(self) -> None:
        """Who comes while the guest restarts waits for it, as any request does."""
        guest = self.guest()
        self.register(guest, b"mail\\.example")
        guest.lose()
        exchange, _ = self.come()
        self.assertIs(ExchangeState.NEW, exchange.state)
        again = self.guest("1")
        self.register(again, b"mail\\.example")
        again.pump()
        self.assertEqual(1, len(again.take(m.Request)))

    def test_sites(self) -> None:
        """Nobody sees which path is asked for: a client must be let in to all of them."""
        guest = self.guest()
        self.register(guest, b"mail\\.example")
        link = f'access = "link"\nlinks = "{key_file(self.mktemp())}"'
        for paths, rule, comes in (
            ('["/"]', 'networks = ["192.0.2.0/24"]', True),
            ('["/"]', 'networks = ["198.51.100.0/24"]', False),
            ('["/admin"]', 'networks = ["198.51.100.0/24"]', False),
            ('["/a/b", "/c"]', 'networks = ["192.0.2.0/24"]', True),
            ('["/admin"]', link, False),
            ('["/"]', link, False),
            ('["/admin"]', "max-body = 7", True),
        ):
            text = f'[[site]]\nhosts = "*.example"\npaths = {paths}\n{rule}\n'
            self.world.router.set_sites(SiteTable(sites_of(text)))
            exchange, _ = self.come()
            guest.pump()
            self.assertEqual(int(comes), len(guest.take(m.Request)), (paths, rule))
            self.assertEqual(comes, exchange.error is None, (paths, rule))

    def test_nobody(self) -> None:
        exchange, _ = self.come()
        self.assertIsInstance(exchange.error, NoRoute)

    def test_no_client_can_ask_for_it(self) -> None:
        """C{Upgrade: tls} is a protocol like any other, which the policy does not list."""
        guest = self.guest()
        guest.register(b"a\\.example", reference=1)
        exchange, _ = self.world.ask(upgrade=Upgrade((b"tls",)))
        guest.pump()
        (request,) = guest.take(m.Request)
        self.assertNotIn(b"tunnel", request.info)
        exchange, _ = self.world.ask(upgrade=Upgrade((b"tls",), connects=True))
        self.assertIsInstance(exchange.error, NotImplementedHere)

    def test_word_of_the_policy_at_each_client(self) -> None:
        """It may have been taken back a moment ago."""
        guest = self.guest()
        self.register(guest, b"mail\\.example")
        self.registrar.policy = Policy()
        exchange, _ = self.come()
        self.assertIsInstance(exchange.error, NotImplementedHere)
