"""How many connections are kept to a host, as it tells how many processes it has."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.peer.dialer import DialState, HostDialer
from subproxy.frontend.peer.host_dialers import HostDialers
from subproxy.frontend.peer.process_place import ProcessPlace


class HostDialersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.dialled: list[HostDialer] = []
        self.dialers = HostDialers(
            Clock(), "kvm-2", "192.0.2.2:7443", ProcessPlace(1, 2), self.dial, lambda: 1.0
        )
        self.dialers.begin()

    def dial(self, dialer: HostDialer) -> Deferred[Any]:
        self.dialled.append(dialer)
        return Deferred()

    def processes(self) -> list[tuple[int, bool]]:
        """What was dialled, and whether it still is."""
        return [(each.process, each.state is not DialState.STOPPED) for each in self.dialled]

    def test_one_more_than_here(self) -> None:
        """First its own; then what it has to take, too; and less again."""
        self.assertEqual(self.processes(), [(1, True)])
        self.dialers.learned(2)
        self.assertEqual(self.processes(), [(1, True)])
        self.dialers.learned(6)
        self.assertEqual(self.processes(), [(1, True), (3, True), (5, True)])
        self.dialers.learned(4)
        self.assertEqual(self.processes(), [(1, True), (3, True), (5, False)])

    def test_state(self) -> None:
        """That of the host is the best of them."""
        self.dialers.learned(4)
        self.assertIs(self.dialers.state, DialState.DIALLING)
        self.assertTrue(self.dialled[1].reached())
        self.assertIs(self.dialers.state, DialState.GREETING)
        self.dialled[1].begun()
        self.assertIs(self.dialers.state, DialState.CONNECTED)

    def test_replaced(self) -> None:
        """It is that one of its processes which is dialled anew; of others nothing is known."""
        self.dialers.learned(4)
        for each in self.dialled:
            each.reached()
            each.begun()
        self.dialers.replaced(3)
        self.dialers.replaced(0)
        states = [(each.process, each.state) for each in self.dialled]
        self.assertEqual(states, [(1, DialState.CONNECTED), (3, DialState.WAITING)])

    def test_stopped(self) -> None:
        """Nothing is dialled any more, whatever is heard then."""
        self.dialers.stop()
        self.dialers.learned(6)
        self.assertEqual(self.processes(), [(1, False)])
