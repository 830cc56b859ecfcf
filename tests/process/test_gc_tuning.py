"""What is over is freed at once: what waits for the collector of cycles is memory in use."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from unittest import SkipTest

from twisted.internet.error import ConnectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.process.gc_tuning import THRESHOLD, tune
from subproxy.subscription.protocol import SubscriptionProtocol
from subproxy.wire import messages as m
from tests.rigs.fastpath_rig import Side
from tests.rigs.frozen import frozen_as_before
from tests.rigs.world import Guest, World

Life = Callable[[World, Guest], None]


def silent(world: World, guest: Guest) -> None:
    """It has said nothing."""


def rubbish(world: World, guest: Guest) -> None:
    """It has said what is no frame."""
    guest.protocol.dataReceived(b"x" * 100_000)


def half(world: World, guest: Guest) -> None:
    """It has said half of something."""
    guest.protocol.dataReceived(b"60000:" + b"x" * 50_000)


def served(world: World, guest: Guest) -> None:
    """It has subscribed, and answered."""
    guest.hello()
    guest.register(b"a\\.example")
    world.clock.pump([1.0] * 10)
    _, sink = world.ask()
    guest.pump()
    (request,) = guest.take(m.Request)
    guest.say(m.Response(request.exchange, 200, [], {}, b"ok"))
    assert sink.body == b"ok"


def owing(world: World, guest: Guest) -> None:
    """It dies with an exchange."""
    guest.hello()
    guest.register(b"a\\.example")
    _, sink = world.ask(b"POST", body=b"x")
    guest.pump()
    guest.lose()
    assert sink.error is not None


def misbehaving(world: World, guest: Guest) -> None:
    """It has answered what is no HTTP."""
    served(world, guest)
    _, sink = world.ask()
    guest.pump()
    (request,) = guest.take(m.Request)
    guest.say(m.Response(request.exchange, 200, [(b"x", b"\0")], {}, b""))
    assert sink.error is not None


def replaced(world: World, guest: Guest) -> None:
    """Another has taken its place."""
    guest.hello()
    world.serving("1", instance=b"i2")
    world.clock.advance(5.0)


class GarbageTests(SynchronousTestCase):
    def setUp(self) -> None:
        # An event tells who logged it, and pytest keeps events.
        nobody = Logger(observer=lambda event: None)
        self.patch(SubscriptionProtocol, "_log", nobody)
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

    def freed(self, life: Life, fast: bool = False) -> None:
        """A connection that has lived like this, and is lost, leaves nothing in a cycle."""
        world = World()
        guest = world.guest()
        life(world, guest)
        if guest.protocol.state.name != "CLOSED":
            guest.lose()
        guest.transport.unregisterProducer()  # as real ones do themselves
        gone = weakref.ref(guest.protocol)
        guest.protocol = None  # type: ignore[assignment]
        guest.events.clear()
        self.flushLoggedErrors()
        self.assertIsNone(gone())

    def test_connections(self) -> None:
        """Whatever a guest has done."""
        for life in (silent, rubbish, half, served, owing, misbehaving, replaced):
            with self.subTest(life.__name__):
                self.freed(life)

    def test_compiled(self) -> None:
        """The compiled path lets go, too."""
        reason = unavailable()
        if reason is not None:
            raise SkipTest(f"no compiled path: {reason}")
        side = Side(True)
        guest = side.guest
        side.protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        self.assertIsNotNone(guest.fast)
        guest.connectionLost(Failure(ConnectionDone()))
        side.guest_transport.unregisterProducer()
        gone = weakref.ref(guest)
        side.guest = guest = None
        self.assertIsNone(gone())

    def test_what_it_said_goes_before(self) -> None:
        """What a guest has said that is sent away is not kept until it is gone."""
        world = World()
        for life in (rubbish, half):
            guest = world.guest()
            life(world, guest)
            guest.protocol.close(b"timeout", "")
            self.assertEqual(guest.protocol.wire.unparsed, 0)

    def test_calm(self) -> None:
        """The collector looks seldom."""
        before = gc.get_threshold()
        self.addCleanup(frozen_as_before())
        self.addCleanup(gc.set_threshold, *before)
        tune()
        self.assertEqual(gc.get_threshold()[0], THRESHOLD)
