"""The routes of machines in a worker: who waits for what, and what the parent is told."""

from __future__ import annotations

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from subproxy.admin.view import explain_view
from subproxy.app.machine_routes import FORGET, MachineRoutes
from subproxy.core.balancing.member import MemberEvent, MemberState
from subproxy.core.exchange import Exchange, RequestHead
from subproxy.core.routing.route import Route
from subproxy.errors import MachineDown, NoRoute
from subproxy.machines.declaration import Machine
from subproxy.machines.places import identity_of
from subproxy.wire import messages as m
from subproxy.workers import messages as msg
from tests.rigs.world import Guest, RecordingSink, World

FOLDER = "/run/m"
BLOG = Machine("blog", "process", ("a.example", "*.b.example"))
SHOP = Machine("shop", "process", ("shop.example",), ("/api", "/x"), start_timeout=7.0)


class MachineRoutesCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.world.factory._identify = lambda transport: transport.getPeer().host
        self.sent: list[msg.ChannelMessage] = []
        self.tunnels: dict[str, int] = {}
        self.routes = MachineRoutes(
            self.world.dispatcher,
            FOLDER,
            lambda identity: self.tunnels.get(identity, 0),
            self.sent.append,
        )
        self.world.registrar.observer = self.routes
        self.routes.declare([BLOG, SHOP])

    def ask(self, host: bytes = b"a.example", path: bytes = b"/") -> RecordingSink:
        sink = RecordingSink()
        head = RequestHead(b"GET", path, host, path, [])
        self.world.dispatcher.dispatch(Exchange(head, b"", sink))
        return sink

    def told(self) -> list[tuple[str, int]]:
        """Whose use was told since the last call, and how many waited."""
        found, self.sent[:] = list(self.sent), []
        return [(each.name, each.waiting) for each in found if isinstance(each, msg.MachineUsed)]

    def machine(self, name: str, index: int = 0, **more: object) -> Guest:
        guest = self.world.guest(identity_of(FOLDER, name, index))
        guest.hello(instance=b"i%d" % index, **more)
        return guest

    def status(self, name: str = "blog", up: bool = True, refused: float = 0.0) -> None:
        self.routes.status(msg.MachineStatus(name, up, refused))

    def answer(self, guest: Guest) -> int:
        """Answer all that it was asked; how many that was."""
        guest.pump()
        asked = guest.take(m.Request)
        for each in asked:
            guest.say(m.Response(each.exchange, 200, [], {}, b"ok"))
        return len(asked)


class AnsweredTests(MachineRoutesCase):
    def waits(self) -> Exchange:
        exchange = Exchange(RequestHead(b"GET", b"/", b"a.example", b"/", []), b"", RecordingSink())
        self.world.dispatcher.dispatch(exchange)
        return exchange

    def answered(self) -> list[tuple[str, int]]:
        """Of which instances was told that they have answered, since the last call."""
        found, self.sent[:] = list(self.sent), []
        return [(each.name, each.index) for each in found if isinstance(each, msg.MachineAnswered)]

    def test_the_first_byte(self) -> None:
        """Told of once, when one that has waited is answered; others are none of it."""
        waiting = [self.waits(), self.waits()]
        self.world.clock.advance(2.5)
        guest = self.machine("blog")
        guest.register(rb"a\.example", b"/.*")
        self.assertEqual(self.answered(), [])
        self.assertEqual(self.answer(guest), 2)
        self.assertEqual(self.answered(), [("blog", 0)])
        self.assertEqual([each.wake for each in waiting], [2.5, 2.5])
        late = self.waits()
        self.assertEqual(self.answer(guest), 1)
        self.assertEqual(self.answered(), [])
        self.assertEqual(late.wake, 0.0)


class TemplateRoutesTests(MachineRoutesCase):
    def setUp(self) -> None:
        super().setUp()
        self.template = Machine("dev-{1}", "process", ("*.dev.example",), most=1)
        self.routes.declare([BLOG, self.template])

    def test_a_machine_a_name(self) -> None:
        """The first request for a name declares its machine; each has a queue of its own."""
        self.ask(b"a.dev.example")
        self.ask(b"B.dev.example:80")
        self.ask(b"a.dev.example")
        self.assertEqual(self.told(), [("dev-a", 1), ("dev-b", 1)])
        self.assertEqual(self.routes.machines, [BLOG, self.template])
        guest = self.machine("dev-a")
        guest.register(rb"a\.dev\.example", b"/.*")
        self.status("dev-a")
        self.assertEqual(self.answer(guest), 2)
        self.assertEqual(self.world.dispatcher.admission.waiting, 1)

    def test_explained(self) -> None:
        """Which machine would be started is told by its own name."""
        for host, name in ((b"a.dev.example", "dev-a"), (b"a_b.dev.example", None)):
            found = explain_view(self.world.router, host, b"/", 0.0)
            self.assertEqual(found["would_start"], name)

    def test_no_name(self) -> None:
        """Deeper names do not match; what can't be a machine's is not found."""
        for host in (b"a.b.dev.example", b"dev.example", b"a_b.dev.example"):
            self.assertIsInstance(self.ask(host).error, NoRoute, host)
        self.assertEqual(self.told(), [])

    def test_a_long_path(self) -> None:
        """A socket's path that is too long is refused, with a reason in the log."""
        self.routes._folder = f"/{'a' * 80}"
        with capturedLogs() as logs:
            error = self.ask(b"a-long-name.dev.example").error
        self.assertIsInstance(error, MachineDown)
        self.assertIn("longer than 107 bytes", logs[-1]["fault"])

    def test_many_long_names(self) -> None:
        """Who asks for name after name does not fill the log."""
        self.routes._folder = f"/{'a' * 80}"
        with capturedLogs() as logs:
            for number in range(50):
                self.ask(b"a-long-name-%d.dev.example" % number)
            self.world.clock.advance(1.0)
            self.ask(b"a-long-name.dev.example")
        self.assertEqual(len(logs), 11)
        self.assertEqual(logs[-1]["more"], "; 40 more not logged")

    def test_what_one_more_costs(self) -> None:
        """A new name has no look at all others: it is anybody's to ask for."""
        for number in range(20):
            self.ask(b"a%d.dev.example" % number)
        looked_at = []
        owner_of = self.routes._owner_of

        def counted(route: Route) -> object:
            looked_at.append(route)
            return owner_of(route)

        self.patch(self.routes, "_owner_of", counted)
        self.ask(b"b.dev.example")
        self.assertEqual(looked_at, [])
        self.assertEqual(self.told()[-1], ("dev-b", 1))

    def test_forgotten(self) -> None:
        """What nobody has used for long is declared no more, and made again when asked for."""
        sink = self.ask(b"a.dev.example")
        for seconds in (FORGET, FORGET):
            self.world.clock.advance(seconds)
            self.world.dispatcher.expire(self.world.clock.seconds())
            self.routes.look()
        self.assertIsInstance(sink.error, MachineDown)
        self.told()
        self.assertNotIn("dev-a", self.routes._made)
        self.ask(b"a.dev.example")
        self.assertEqual(self.told(), [("dev-a", 1)])

    def test_drained(self) -> None:
        """Also where nobody has asked for it yet: its guest may dial again, and come here."""
        identity = identity_of(FOLDER, "dev-a", 0)
        self.routes.drain(identity, MemberEvent.DRAIN)
        guest = self.machine("dev-a")
        guest.register(rb"a\.dev\.example", b"/.*")
        self.ask(b"a.dev.example")
        self.assertEqual(self.answer(guest), 0)
        self.routes.drain(identity, MemberEvent.UNDRAIN)
        self.assertEqual(self.answer(guest), 1)

    def test_reload(self) -> None:
        """What was made stays while its template does, and who waits is answered so."""
        sink = self.ask(b"a.dev.example")
        self.routes.declare([BLOG, self.template])
        self.assertIsNone(sink.error)
        self.routes.declare([BLOG])
        self.assertIsInstance(sink.error, NoRoute)


class WaitingTests(MachineRoutesCase):
    def test_the_first(self) -> None:
        """Is told of at once; more are told of by and by, and so is that all have left."""
        self.ask()
        self.assertEqual(self.told(), [("blog", 1)])
        self.ask()
        exchange = Exchange(
            RequestHead(b"GET", b"/", b"x.b.example", b"/", []), b"", RecordingSink()
        )
        self.world.dispatcher.dispatch(exchange)
        self.assertEqual(self.told(), [])
        self.routes.look()
        self.assertEqual(self.told()[0], ("blog", 3))
        self.routes.look()
        self.assertEqual(self.told(), [])

    def test_other_hosts(self) -> None:
        """A machine has what is declared of it, and what is below its paths."""
        self.assertIsInstance(self.ask(b"b.example").error, NoRoute)
        self.assertIsInstance(self.ask(b"shop.example", b"/other").error, NoRoute)
        for path in (b"/api", b"/api/v1", b"/x"):
            self.assertIsNone(self.ask(b"shop.example", path).error)
        self.routes.look()
        self.assertIn(("shop", 3), self.told())

    def test_registration(self) -> None:
        """Whoever waits is asked; the route stays when the machine has gone."""
        sink = self.ask()
        guest = self.machine("blog")
        guest.register(b"a\\.example")
        self.assertEqual(self.answer(guest), 1)
        self.assertEqual(sink.body, b"ok")
        guest.lose()
        self.world.advance(1000)
        self.told()
        self.assertIsNone(self.ask().error)
        self.assertEqual(self.told(), [("blog", 1)])

    def test_too_late(self) -> None:
        """503 after the time for its start, which is the machine's own."""
        sink = self.ask(b"shop.example", b"/api")
        self.world.advance(6.9)
        self.assertIsNone(sink.error)
        self.world.advance(0.2)
        self.assertIsInstance(sink.error, MachineDown)

    def test_refused(self) -> None:
        """Who waits is told so, and who asks until then."""
        sink = self.ask()
        self.status(up=False, refused=4.0)
        assert isinstance(sink.error, MachineDown)
        self.assertEqual(sink.error.retry_after, 4)
        later = self.ask()
        assert isinstance(later.error, MachineDown)
        self.world.advance(4.0)
        self.assertIsNone(self.ask().error)

    def test_a_hundred(self) -> None:
        """Of all its routes together."""
        for number in range(101):
            host = b"a.example" if number % 2 else b"x%d.b.example" % number
            sink = self.ask(host)
        assert sink.error is not None
        self.assertEqual(sink.error.code, "queue-full")

    def test_a_narrower_route(self) -> None:
        """What waits goes there; what nothing matches is 404, after a while."""
        api, other = self.ask(path=b"/api/v1"), self.ask(path=b"/other")
        guest = self.machine("blog")
        guest.register(b"a\\.example", b"/api/.*")
        self.status()
        self.assertEqual(self.answer(guest), 1)
        self.assertEqual(api.body, b"ok")
        self.world.advance(9.9)
        self.routes.look()
        self.assertIsNone(other.error)
        self.world.advance(0.2)
        self.routes.look()
        self.assertIsInstance(other.error, NoRoute)
        self.assertIsInstance(self.ask(path=b"/other").error, NoRoute)
        self.status(up=False)
        self.assertIsNone(self.ask(path=b"/other").error)

    def test_a_route_of_its_own(self) -> None:
        """It wakes the machine, too, as long as it is remembered."""
        guest = self.machine("blog")
        guest.register(b"a\\.example", b"/api/.*")
        guest.lose()
        self.told()
        self.ask(path=b"/api/v1")
        self.assertEqual(self.told(), [("blog", 1)])

    def test_unknown(self) -> None:
        """Of a machine that is not declared nothing becomes."""
        self.status("other")
        self.routes.drain(identity_of(FOLDER, "other", 0), MemberEvent.DRAIN)
        self.routes.drain("cid:3", MemberEvent.DRAIN)
        self.assertEqual(self.told(), [])


class UseTests(MachineRoutesCase):
    def use(self) -> list[int]:
        self.routes.look()
        said = [
            each for each in self.sent if isinstance(each, msg.MachineUsed) and each.name == "blog"
        ]
        self.sent.clear()
        return said[-1].instances.get("0", [])

    def test_what_is_told(self) -> None:
        """Requests under way and tunnels, all that it was given, what it takes."""
        guest = self.machine("blog", concurrency=5)
        guest.register(b"a\\.example")
        self.assertEqual(self.use(), [0, 0, 5])
        self.ask()
        self.assertEqual(self.use(), [1, 1, 5])
        self.answer(guest)
        self.tunnels[identity_of(FOLDER, "blog", 0)] = 2
        self.assertEqual(self.use(), [2, 1, 5])
        guest.lose()
        self.assertEqual(self.use(), [])

    def test_the_next_program(self) -> None:
        """It is told all anew: it knows nothing of who waits, and of what is under way."""
        guest = self.machine("blog", concurrency=5)
        guest.register(b"a\\.example")
        self.ask()
        self.ask(b"shop.example", b"/api")
        self.routes.look()
        self.told()
        self.routes.tell_again()
        busy = [each.instances for each in self.sent if isinstance(each, msg.MachineUsed)]
        self.assertEqual(self.told(), [("blog", 0), ("shop", 1)])
        self.assertEqual(busy, [{"0": [1, 1, 5]}, {}])

    def test_drain(self) -> None:
        """It gets nothing new, and the parent knows what it has before that is answered."""
        first, second = self.machine("blog"), self.machine("blog", 1)
        for guest in (first, second):
            guest.register(b"a\\.example")
        self.told()
        self.routes.drain(identity_of(FOLDER, "blog", 0), MemberEvent.DRAIN)
        self.assertEqual(
            self.world.registry.pool(Route(b"a\\.example")).members[0].state, MemberState.DRAINING
        )
        self.assertEqual(len(self.told()), 1)
        for _ in range(5):
            self.ask()
        self.assertEqual((self.answer(first), self.answer(second)), (0, 5))
        self.routes.drain(identity_of(FOLDER, "blog", 1), MemberEvent.DRAIN)
        sink = self.ask()
        self.routes.drain(identity_of(FOLDER, "blog", 0), MemberEvent.UNDRAIN)
        self.assertEqual(self.answer(first), 1)
        self.assertEqual(sink.body, b"ok")

    def test_who_dials_again_is_drained(self) -> None:
        """Until that is taken back, or its machine begins anew."""
        identity = identity_of(FOLDER, "blog", 0)
        self.routes.drain(identity, MemberEvent.DRAIN)
        sinks = [self.ask()]
        for end in (
            lambda: self.routes.drain(identity, MemberEvent.UNDRAIN),
            lambda: self.routes.begins(identity),
        ):
            again = self.machine("blog")
            again.register(b"a\\.example")
            self.assertEqual(self.answer(again), 0)
            again.lose()
            end()
            again = self.machine("blog")
            again.register(b"a\\.example")
            self.assertEqual(self.answer(again), 1)
            again.lose()
            self.assertEqual(sinks[-1].body, b"ok")
            self.routes.drain(identity, MemberEvent.DRAIN)
            sinks.append(self.ask())


class DeclareTests(MachineRoutesCase):
    def test_gone(self) -> None:
        """Its route is as any other then: 404 for who waits, and later for all."""
        sink = self.ask()
        self.routes.declare([SHOP])
        self.assertIsInstance(sink.error, NoRoute)
        self.world.advance(1000)
        self.assertIsInstance(self.ask().error, NoRoute)
        self.assertEqual(self.routes.machines, [SHOP])

    def test_another_owner(self) -> None:
        """Who waits goes on waiting, for the other one."""
        sink = self.ask()
        other = Machine("other", "process", BLOG.hosts)
        self.routes.declare([other])
        self.routes.look()
        self.assertIsNone(sink.error)
        self.assertIn(("other", 1), self.told())

    def test_as_before(self) -> None:
        """Nothing changes for who waits, and for its instances."""
        self.machine("blog").register(b"a\\.example")
        sink = self.ask(b"x.b.example")
        self.told()
        self.routes.declare([BLOG])
        self.routes.look()
        self.assertIsNone(sink.error)
        self.assertEqual(self.told(), [("blog", 1)])

    def test_served_before(self) -> None:
        """A route that a guest has already gets an owner, and stays from then on."""
        guest = self.machine("new")
        guest.register(b"new\\.example")
        self.routes.declare([Machine("new", "process", ("new.example",))])
        self.routes.look()
        self.assertIn(("new", 0), self.told())
        guest.lose()
        self.world.advance(1000)
        self.assertIsNone(self.ask(b"new.example").error)
        self.assertEqual(self.told(), [("new", 1)])
