"""Which factory has the compiled path, and what for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.http1_factory import FastHttp1Factory
from subproxy.fastpath.install import install, unavailable
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.http1.protocol import Http1Protocol
from subproxy.frontend.limits import HttpLimits
from tests.rigs.fake_dispatcher import Transport
from tests.rigs.world import World


class InstallTests(SynchronousTestCase):
    skip = unavailable()

    def test_both_sides_have_it(self) -> None:
        from subproxy.fastpath.subscription_protocol import FastSubscriptionProtocol

        world = World()
        http = FastHttp1Factory(world.dispatcher, clock=world.clock)
        self.assertIsInstance(http.buildProtocol(None), Http1Protocol)
        install(http, world.factory, None, None)
        made = world.factory.protocol(world.factory.context, world.factory, "a")
        self.assertIsInstance(made, FastSubscriptionProtocol)
        self.assertNotIsInstance(http.buildProtocol(None), Http1Protocol)

    def test_what_changes_is_told(self) -> None:
        """It has the date and the draining of the frontend in places of its own."""
        now = [0.0]
        world = World()
        http = FastHttp1Factory(world.dispatcher, clock=world.clock, wall=lambda: now[0])
        fastpath = http.use_fastpath(None, None)
        self.assertEqual(fastpath.date, b"Thu, 01 Jan 1970 00:00:00 GMT")
        now[0] = 2.0
        http.doStart()
        self.addCleanup(http.doStop)
        world.clock.advance(0.5)
        self.assertEqual(fastpath.date, b"Thu, 01 Jan 1970 00:00:02 GMT")
        self.assertEqual(http.context.status.date, fastpath.date)
        self.assertFalse(fastpath.draining)
        http.last_answers()
        self.assertTrue(fastpath.draining)

    def test_other_limits(self) -> None:
        """A reload sets them on both paths, at once: one connection more, a shorter target."""
        for fast in (False, True):
            world = World()
            http = FastHttp1Factory(world.dispatcher, HttpLimits(connections=1), world.clock)
            if fast:
                http.use_fastpath(None, None)
            for limits in (HttpLimits(connections=1), HttpLimits(connections=2, target=4)):
                http.set_limits(limits)
                for _ in range(2):
                    http.buildProtocol(None).makeConnection(Transport("192.0.2.1"))
            self.assertEqual(len(http.connections), 2, fast)
            front, _ = sorted(http.connections, key=id)
            front.dataReceived(b"GET /1234 HTTP/1.1\r\nHost: a\r\n\r\n")
            said = b"".join(each.transport.value() for each in http.connections)
            self.assertIn(b" 414 ", said, fast)

    def test_the_log_calls_both_the_same(self) -> None:
        world = World()
        fast = FastHttp1Factory(world.dispatcher, clock=world.clock)
        plain = Http1Factory(world.dispatcher, clock=world.clock)
        self.assertEqual(fast.logPrefix(), plain.logPrefix())  # type: ignore[no-untyped-call]
