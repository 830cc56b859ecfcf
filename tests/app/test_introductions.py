"""How workers come by connections with one another, and by data connections."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app.introductions import Introductions
from subproxy.app.peer_links import PeerLinks
from subproxy.frontend.peer.peer_data_pool import PeerDataPool
from subproxy.workers.messages import ChannelMessage, PeerLink
from subproxy.workers.peer_messages import PeerData, PeerDataWanted
from subproxy.workers.slots import Slots, Worker
from subproxy.workers.states import WorkerState
from tests.rigs.memory_hosts import RecordedUser


class _Crew:
    """Some workers that serve; what they are told."""

    def __init__(self, *serials: int) -> None:
        self.slots = Slots(len(serials))
        self.serving = [
            self.slots.adopt(slot, serial, WorkerState.SERVING, 0.0)
            for slot, serial in enumerate(serials)
        ]
        self.told: list[tuple[int, ChannelMessage]] = []

    def send(self, worker: Worker, said: ChannelMessage) -> None:
        self.told.append((worker.serial, said))

    def take(self) -> list[tuple[int, ChannelMessage]]:
        """What they were told, with descriptors that are closed."""
        told, self.told = self.told, []
        for _, said in told:
            for each in said.descriptors:
                os.close(each)
        return told


class IntroductionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.crew: Any = _Crew(7, 8)
        self.introductions = Introductions(self.crew)

    def test_ready(self) -> None:
        """Who comes gets an end of a pair for each direction, and each other the other end."""
        self.introductions.ready(self.crew.serving[1])
        found = [(to, said.serial, said.asks) for to, said in self.crew.take()]
        self.assertEqual([(8, 7, True), (7, 8, False), (7, 8, True), (8, 7, False)], found)

    def test_who_retires(self) -> None:
        """It asks who comes, since its guests go there; nobody asks it any more."""
        self.crew.slots.adopt(0, 6, WorkerState.RETIRING, 0.0)
        self.introductions.ready(self.crew.serving[1])
        found = [(to, said.serial, said.asks) for to, said in self.crew.take()]
        self.assertEqual([(6, 8, True), (8, 6, False)], found[4:])
        # A body that is large goes over a connection of its own.
        self.introductions.came(self.crew.serving[1], PeerDataWanted(6))
        self.assertEqual([6, 8], [to for to, _ in self.crew.take()])

    def test_data(self) -> None:
        """The two ends are one connection: who asks takes it for one of that worker."""
        self.introductions.came(self.crew.serving[0], PeerDataWanted(8))
        (first, asks), (second, serves) = self.crew.told
        self.assertEqual((8, 7), (first, second))
        assert isinstance(asks, PeerLink)
        self.assertEqual((7, True), (asks.serial, asks.asks))
        assert isinstance(serves, PeerData)
        self.assertEqual(8, serves.serial)
        os.write(serves.descriptors[0], b"hello")
        self.assertEqual(b"hello", os.read(asks.descriptors[0], 9))
        self.crew.take()

    def test_no_descriptors(self) -> None:
        """Each is answered: who gets none would take the next answer for his."""

        def none_left() -> Any:
            raise OSError(errno.EMFILE, "Too many open files")

        patched = self.patch(socket, "socketpair", none_left)
        self.introductions.came(self.crew.serving[0], PeerDataWanted(8))
        self.assertEqual([(7, PeerData(8))], self.crew.take())
        # And who comes is connected as soon as that can be, unless it has gone.
        told: list[str] = []
        self.patch(self.introductions, "_log", FakeLog(told))
        self.introductions.ready(self.crew.serving[1])
        for _ in range(3):
            self.introductions.retry()
        self.assertEqual([], self.crew.take())
        self.assertEqual(len(told), 1, "it is said once, not at each look")
        patched.restore()
        self.introductions.retry()
        found = [(to, said.serial, said.asks) for to, said in self.crew.take()]
        self.assertEqual([(8, 7, True), (7, 8, False), (7, 8, True), (8, 7, False)], found)
        self.introductions.retry()
        self.assertEqual([], self.crew.take())

    def test_data_of_one_that_is_gone(self) -> None:
        """There is no descriptor; and what is said of something else is not for here."""
        self.introductions.came(self.crew.serving[0], PeerDataWanted(9))
        self.assertEqual([(7, PeerData(9))], self.crew.take())
        self.introductions.came(self.crew.serving[0], PeerData(9))
        self.assertEqual([], self.crew.take())


class FakeLog:
    """Takes warnings."""

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def warn(self, text: str, **_: object) -> None:
        self._told.append(text)


class PeerLinksDataTests(SynchronousTestCase):
    """What a worker makes of that."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.said: list[ChannelMessage] = []
        nobody: Any = None
        self.links = PeerLinks(self.reactor, nobody, nobody, nobody, 0, self.said.append)
        self.pool = PeerDataPool(
            self.reactor, lambda each: self.links._dial_data(7, each), plain=True
        )
        self.user = RecordedUser()

    def claim(self) -> Any:
        connection = self.pool.connection()
        assert connection is not None
        connection.claim(1, b"t" * 16, self.user)
        return connection

    def test_made(self) -> None:
        """It is asked for, and claims when it is there."""
        connection = self.claim()
        self.assertEqual([PeerDataWanted(7)], self.said)
        one, two = socket.socketpair()
        self.addCleanup(one.close)
        self.links.data_came(7, (two.detach(),))
        connection.transport.doWrite()
        self.assertIn(b"7:connect,", one.recv(100))
        connection.release()
        self.reactor.advance(0)

    def test_gone(self) -> None:
        """The other worker is gone: the body goes another way."""
        self.claim()
        self.links.data_came(7, ())
        self.assertEqual(["unclaimed"], self.user.heard)

    def test_late(self) -> None:
        """What comes when nobody waits any more is closed."""
        self.claim()
        self.reactor.advance(3)
        self.assertEqual(["unclaimed"], self.user.heard)
        for _ in range(2):
            one, two = socket.socketpair()
            self.links.data_came(7, (two.detach(),))
            self.assertEqual(b"", one.recv(1))
            one.close()
