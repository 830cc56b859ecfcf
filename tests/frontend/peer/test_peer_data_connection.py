"""A data connection that is dialled at another host, and the pool of them, in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.peer.peer_data_connection import (
    ANSWER_TIME,
    IDLE_TIME,
    LINGER_TIME,
    PeerDataConnection,
    PeerDataState,
)
from subproxy.frontend.peer.peer_data_pool import IDLE_MOST, PeerDataPool
from subproxy.wire import messages as m
from tests.rigs.memory_hosts import RecordedUser

TOKEN = b"t" * 16
CLAIM = m.Connect(7, TOKEN).encode()
END = m.End(7).encode()


class PeerDataConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.dialled: list[Deferred[Any]] = []
        self.pool = PeerDataPool(self.clock, self.dial)
        self.user = RecordedUser()

    def dial(self, connection: PeerDataConnection) -> Deferred[Any]:
        self.dialled.append(Deferred())
        return self.dialled[-1]

    def claim(self) -> PeerDataConnection:
        """One that is being dialled, or was idle."""
        connection = self.pool.connection()
        assert connection is not None
        connection.claim(7, TOKEN, self.user)
        return connection

    def made(self) -> PeerDataConnection:
        """One that was reached, and has claimed."""
        connection = self.claim()
        connection.makeConnection(StringTransport())
        return connection

    def busy(self) -> PeerDataConnection:
        """One whose claim was taken."""
        connection = self.made()
        connection.dataReceived(CLAIM)
        connection.transport.clear()
        return connection

    def idle(self) -> PeerDataConnection:
        """One that has carried a body."""
        connection = self.busy()
        connection.sent()
        connection.dataReceived(END)
        return connection

    def closed(self, connection: PeerDataConnection) -> bool:
        transport = connection.transport
        return bool(transport.disconnecting or getattr(transport, "aborting", False))

    def test_claimed(self) -> None:
        """It says whose body it wants, and has it when that is answered."""
        connection = self.made()
        self.assertEqual(CLAIM, connection.transport.value())
        connection.dataReceived(CLAIM[:5])
        self.assertEqual([], self.user.heard)
        connection.receive()
        connection.dataReceived(CLAIM[5:] + b"body")
        self.assertEqual((["claimed"], b"body"), (self.user.heard, self.user.data))

    def test_not_claimed(self) -> None:
        """Refused, closed, answered wrongly, or not in time: there is another way."""
        refused = self.claim()
        self.dialled[-1].errback(Failure(ConnectionRefusedError()))
        not_let_in = self.claim()
        not_let_in.refused("TLS")
        late = self.claim()
        self.clock.advance(ANSWER_TIME)
        unanswered = self.made()
        self.clock.advance(ANSWER_TIME)
        closed = self.made()
        closed.connectionLost(Failure(ConnectionDone()))
        for answer in (END, b"junk", b"9999:x"):
            self.made().dataReceived(answer)
        self.assertEqual(["unclaimed"] * 8, self.user.heard)
        for each in (refused, not_let_in, late, unanswered, closed):
            self.assertIs(PeerDataState.CLOSED, each.state)
        # Whoever is reached late is not wanted.
        self.assertFalse(late.wanted)

    def test_kept(self) -> None:
        """What has carried a body carries the next one, without an answer to its claim."""
        connection = self.idle()
        self.assertIs(connection, self.claim())
        self.assertEqual(CLAIM, connection.transport.value())
        self.assertEqual(["claimed"] * 2, self.user.heard)

    def test_end_before_the_end(self) -> None:
        """That a body came may be said before its sender knows that it was all."""
        connection = self.busy()
        connection.dataReceived(END)
        self.assertIs(PeerDataState.BUSY, connection.state)
        connection.sent()
        self.assertIs(PeerDataState.IDLE, connection.state)

    def test_idle_too_long(self) -> None:
        """It is closed, and so is one of which something comes, and one too many."""
        connection, spoken = self.busy(), self.busy()
        many = [self.busy() for _ in range(IDLE_MOST)]
        for each in (connection, spoken, *many):
            each.sent()
            each.dataReceived(END)
        closed = [*map(self.closed, [connection, spoken, *many])]
        self.assertEqual([False] * IDLE_MOST + [True] * 2, closed)
        spoken.dataReceived(b"x")
        self.assertTrue(self.closed(spoken))
        self.clock.advance(IDLE_TIME)
        self.assertTrue(self.closed(connection))
        self.assertIsNot(self.pool.connection(), connection)

    def test_says_something_else(self) -> None:
        """Amid a body, or behind it: its user hears that it is gone."""
        for said in (m.Ping(b"n").encode(), b"x" * 2000, END + END):
            connection = self.busy()
            self.user.heard.clear()
            connection.dataReceived(said)
            if connection.state is PeerDataState.BUSY:
                connection.sent()
            else:
                self.assertEqual(["lost"], self.user.heard)
            self.assertTrue(self.closed(connection), said)

    def test_lost(self) -> None:
        """Amid a body its user hears of it, and not if it is released."""
        self.busy().connectionLost(Failure(ConnectionDone()))
        self.assertEqual(["claimed", "lost"], self.user.heard)
        for released in (self.busy(), self.made()):
            self.user.heard.clear()
            released.release()
            self.assertTrue(self.closed(released))
            released.connectionLost(Failure(ConnectionDone()))
            self.assertEqual([], self.user.heard)

    def test_room(self) -> None:
        """Its user hears when there is room again."""
        connection = self.busy()
        connection.pauseProducing()
        self.assertFalse(connection.ready)
        connection.resumeProducing()
        self.assertTrue(connection.ready)
        self.assertEqual(["claimed", "writable"], self.user.heard)

    def test_reading(self) -> None:
        """It is paused for as long as nobody takes what comes."""
        connection = self.busy()
        for pauses in (True, True, False, False):
            (connection.pause if pauses else connection.resume)()
            state = "paused" if pauses else "producing"
            self.assertEqual(state, connection.transport.producerState)
        connection.pause()
        connection.received()
        self.assertEqual("producing", connection.transport.producerState)

    def test_unfinished(self) -> None:
        """What was sent may still come when nothing more is asked: for so long."""
        emptied: list[int] = []
        self.pool.emptied = lambda: emptied.append(self.pool.unfinished)
        idle = self.idle()
        self.assertEqual([0], emptied)
        sent, closing = self.claim(), self.busy()
        self.assertIs(idle, sent)
        other = self.idle()
        sent.sent()
        closing.finish()
        self.assertEqual(2, self.pool.unfinished)
        self.pool.retire()
        self.assertTrue(self.closed(other))
        self.assertIsNone(self.pool.connection())
        sent.dataReceived(END)
        self.assertTrue(self.closed(sent))
        closing.dataReceived(b"never mind")
        self.clock.advance(LINGER_TIME)
        self.assertEqual(0, self.pool.unfinished)
        self.assertEqual(0, emptied[-1])
