"""Tests of subproxy.subscription.buffer_account: what is asked of a transport."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.subscription.buffer_account import unsent
from subproxy.wire import messages as m
from tests.rigs.world import Guest, World


class UnsentTests(SynchronousTestCase):
    def test_what_waits(self) -> None:
        """A stream of ours tells; Twisted's is asked for its parts; another does not tell."""
        self.assertEqual(unsent(SimpleNamespace(waiting=5)), 5)
        classic = SimpleNamespace(dataBuffer=b"abc", offset=1, _tempDataLen=4)
        self.assertEqual(unsent(classic), 6)
        self.assertIsNone(unsent(SimpleNamespace()))

    def test_a_guest_that_reads_and_never_catches_up(self) -> None:
        """It keeps its connection, however much was written meanwhile; one that stops does not."""
        world = World()
        guest = Guest(world, "7")
        guest.hello()
        protocol = guest.protocol
        transport: Any = guest.transport
        transport.waiting = 70_000
        protocol.pauseProducing()
        for waiting, kept in ((70_000, True), (20 << 20, False)):
            transport.waiting = waiting
            for nonce in range(40):
                protocol._unread.add(1 << 20)
                protocol.wire.send(m.Ping(b"%016d" % nonce))
                protocol.flush()
            self.assertEqual(protocol.closed is None, kept)
