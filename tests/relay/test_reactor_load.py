"""Whether anybody but the relays waits."""

from __future__ import annotations

import os
import select
import time

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.relay.reactor_load import ReactorLoad, reactor_load_of


class Engine:
    """What a compiled reactor has."""

    pending = False


class OthersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = EPollReactor()
        self.addCleanup(self.reactor._poller.close)
        for fd in self.reactor._internalReaders:
            self.addCleanup(fd.connectionLost, None)
        self.relays = select.epoll()
        self.addCleanup(self.relays.close)
        self.reactor._poller.register(self.relays, select.EPOLLIN)

    def others(self) -> ReactorLoad:
        others = reactor_load_of(self.reactor, self.relays)
        assert others is not None
        return others

    def test_who_cannot_tell(self) -> None:
        """Those of other reactors."""
        self.assertIsNone(reactor_load_of(Clock(), self.relays))

    def test_descriptors(self) -> None:
        """Any of the reactor's that is ready, but not that of the relays."""
        others = self.others()
        bell = os.eventfd(1)
        self.addCleanup(os.close, bell)
        self.relays.register(bell, select.EPOLLIN)
        self.assertFalse(others.has_pending_work())
        self.reactor.wakeUp()
        self.assertTrue(others.has_pending_work())

    def test_timed_calls(self) -> None:
        """One that is new, when nobody knows yet when it is due; or one that is due."""
        others = self.others()
        self.assertFalse(others.has_pending_work())
        call = self.reactor.callLater(100, self.fail)
        self.assertTrue(others.has_pending_work())
        self.reactor.timeout()
        self.assertFalse(others.has_pending_work())
        self.patch(self.reactor, "seconds", lambda: time.time() + 200)
        self.assertTrue(others.has_pending_work())
        call.cancel()

    def test_engine(self) -> None:
        """What an engine has to tell."""
        self.reactor.engine = engine = Engine()
        others = self.others()
        self.assertFalse(others.has_pending_work())
        engine.pending = True
        self.assertTrue(others.has_pending_work())
