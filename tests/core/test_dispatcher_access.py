"""What the dispatcher does while it is found out who is let in."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.claims import Claim
from subproxy.core.exchange import Exchange, RequestHead
from subproxy.core.sites.access_question import AccessQuestion, AccessVerdict, LetIn
from subproxy.core.sites.basic_auth import CHALLENGE, SiteUsers
from subproxy.core.sites.client_limits import ConnectionLimit
from subproxy.core.sites.forward_auth import AuthService
from subproxy.core.sites.signed_links import LinkKeys
from subproxy.core.sites.site import Site
from subproxy.core.sites.site_access import SiteAccess
from subproxy.core.sites.site_table import SiteTable
from subproxy.errors import AccessUnknown, ClientGone, LinkRefused, NoRoute
from subproxy.wire import messages as m
from tests.rigs.private_site import SECRETS, WALL, token
from tests.rigs.world import RecordingSink, World

LET_IN = LetIn([(b"X-Forwarded-User", b"a")])


class Asker:
    """Somebody who answers when he is told to, or C{at_once}."""

    def __init__(self) -> None:
        self.asked: list[Callable[[AccessVerdict], None]] = []
        self.given_up = 0
        self.at_once: AccessVerdict | None = None

    def ask(
        self, question: AccessQuestion, told: Callable[[AccessVerdict], None]
    ) -> Callable[[], None]:
        if self.at_once is not None:
            told(self.at_once)
        else:
            self.asked.append(told)
        return self.give_up

    def give_up(self) -> None:
        self.given_up += 1


class AskingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.asker = self.world.dispatcher.entrance.asker = Asker()
        access = SiteAccess(users=SiteUsers(((b"a", b"A"),)))
        rules = {"access": access, "connections": ConnectionLimit("s", 1)}
        self.world.router.set_sites(SiteTable([Site((Claim("a.example", "/"),), rules)]))
        self.guest = self.world.serving()

    def asked(self) -> tuple[Exchange, RecordingSink]:
        """A request with a name and a password."""
        fields = [(b"Host", b"a.example"), (b"Authorization", b"Basic YTpi")]
        sink = RecordingSink()
        exchange = Exchange(RequestHead(b"GET", b"/", b"a.example", b"/", fields), b"", sink)
        self.world.dispatcher.dispatch(exchange)
        return exchange, sink

    def requests(self) -> list[m.Request]:
        self.guest.pump()
        return self.guest.take(m.Request)

    def test_trailers(self) -> None:
        """What a service says of who came, no client says behind its body."""
        access = SiteAccess(service=AuthService(b"http://127.0.0.1/", fields=(b"remote-user",)))
        self.world.router.set_sites(
            SiteTable([Site((Claim("a.example", "/"),), {"access": access})])
        )
        head = RequestHead(b"POST", b"/", b"a.example", b"/", [(b"Host", b"a.example")])
        head.length = None
        exchange = Exchange(head, None, RecordingSink())
        self.world.dispatcher.dispatch(exchange)
        self.asker.asked.pop()(LetIn([(b"Remote-User", b"a")]))
        exchange.request_data(b"x")
        exchange.request_end([(b"Remote_User", b"evil"), (b"X-Sum", b"1")])
        self.guest.pump()
        [end] = self.guest.take(m.End)
        self.assertEqual(end.trailers, [(b"X-Sum", b"1")])

    def test_let_in(self) -> None:
        """Later, and only then a guest hears of it; by routes as they are then."""
        exchange, _ = self.asked()
        self.assertEqual(self.requests(), [])
        self.asker.asked.pop()(LET_IN)
        [request] = self.requests()
        self.assertEqual(
            [pair for pair in request.headers if pair[0] != b"Host"],
            [(b"X-Forwarded-User", b"a")],
        )
        self.assertEqual(self.world.dispatcher.entrance.clients.under_way, 1)
        self.guest.say(m.Response(request.exchange, 200, [], {}, b"ok"))
        self.assertEqual(self.world.dispatcher.entrance.clients.under_way, 0)
        self.assertEqual(self.asker.given_up, 0)
        self.assertIsNone(exchange.error)

    def test_at_once(self) -> None:
        self.asker.at_once = CHALLENGE
        _, sink = self.asked()
        self.assertEqual((sink.error, self.requests()), (CHALLENGE, []))
        self.asker.at_once = LET_IN
        self.asked()
        self.assertEqual(len(self.requests()), 1)

    def test_refused(self) -> None:
        _, sink = self.asked()
        self.asker.asked.pop()(CHALLENGE)
        self.assertEqual((sink.error, self.requests()), (CHALLENGE, []))
        _, sink = self.asked()
        self.asker.asked.pop()(AccessUnknown())
        self.assertIsInstance(sink.error, AccessUnknown)
        self.assertEqual(self.world.dispatcher.entrance.clients.under_way, 0)

    def test_a_client_that_leaves(self) -> None:
        """The question is given up, and what comes of it means nothing."""
        exchange, _ = self.asked()
        told = self.asker.asked.pop()
        exchange.cancel(ClientGone())
        self.assertEqual(self.asker.given_up, 1)
        told(LET_IN)
        self.assertEqual(self.requests(), [])
        self.assertEqual(self.world.dispatcher.entrance.clients.under_way, 0)

    def test_a_guest_that_leaves(self) -> None:
        _, sink = self.asked()
        self.guest.say(m.Unregister(1))
        self.guest.lose()
        self.world.advance(60.0)
        self.asker.asked.pop()(LET_IN)
        self.assertIsInstance(sink.error, NoRoute)

    def test_nobody_to_ask(self) -> None:
        self.world.dispatcher.entrance.asker = None
        _, sink = self.asked()
        self.assertIsInstance(sink.error, AccessUnknown)


class TimeOfDayTests(SynchronousTestCase):
    def test_where_nobody_has_said_it(self) -> None:
        """Every link has expired."""
        world = World()
        rules = {"access": SiteAccess(links=LinkKeys(SECRETS))}
        world.router.set_sites(SiteTable([Site((Claim("a.example", "/"),), rules)]))
        target = b"/?subproxy_link=" + token(expires=1e9)
        _, sink = world.ask(target=target)
        self.assertIsInstance(sink.error, LinkRefused)
        world.dispatcher.entrance.wall = lambda: WALL
        _, sink = world.ask(target=target)
        assert sink.head is not None
        self.assertEqual(sink.head.status, 303)
