"""The guest's end of data connections, in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, fail
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from guest.twisted.data_connection import (
    ANSWER_TIME,
    IDLE_MOST,
    IDLE_TIME,
    DataPool,
    GuestDataConnection,
    GuestDataState,
)
from subproxy.wire import messages as m

TOKEN = b"t" * 16


class Wire(StringTransport):
    """A transport that notes how it is closed."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()

    def startWriting(self) -> None:
        """It has written already."""


@implementer(IStreamClientEndpoint)
class Proxy:
    """Where guests dial: keeps what was dialled."""

    def __init__(self) -> None:
        self.lines: list[GuestDataConnection] = []
        self.refuses = False

    def connect(self, factory: Any) -> Deferred[Any]:
        if self.refuses:
            return fail(ConnectionRefusedError())
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(Wire())
        self.lines.append(protocol)
        done: Deferred[Any] = Deferred()
        done.callback(protocol)
        return done


class Receiver:
    """Whose body it is."""

    def __init__(self) -> None:
        self.data = b""
        self.said: list[str] = []

    def data_received(self, data: bytes) -> None:
        self.data += data

    def data_complete(self) -> None:
        self.said.append("complete")

    def data_lost(self) -> None:
        self.said.append("lost")


class DataTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.proxy = Proxy()
        self.pool = DataPool(self.proxy, self.clock)

    def dial(self, number: int = 1) -> Deferred[GuestDataConnection | None]:
        return ensureDeferred(self.pool.connect(number, TOKEN))

    def claimed(self, number: int = 1) -> GuestDataConnection:
        """One whose token the proxy has taken."""
        dialling = self.dial(number)
        line = self.proxy.lines[-1]
        if not dialling.called:
            line.dataReceived(m.Connect(number, TOKEN).encode())
        found = self.successResultOf(dialling)
        assert found is not None
        return found

    @staticmethod
    def wire(line: GuestDataConnection) -> Wire:
        transport = line.transport
        assert isinstance(transport, Wire)
        return transport

    def written(self, line: GuestDataConnection) -> bytes:
        wire = self.wire(line)
        data = wire.value()
        wire.clear()
        return data

    def lose(self, line: GuestDataConnection) -> None:
        line.connectionLost(Failure(ConnectionDone()))

    def sent(self, line: GuestDataConnection, number: int = 1) -> None:
        """A body was sent, and the proxy has it."""
        line.release()
        line.dataReceived(m.End(number).encode())


class ClaimTests(DataTestCase):
    def test_first(self) -> None:
        """It asks, and waits for the answer, even in pieces."""
        dialling = self.dial(5)
        (line,) = self.proxy.lines
        connect = m.Connect(5, TOKEN).encode()
        self.assertEqual(self.written(line), connect)
        line.dataReceived(connect[:10])
        self.assertNoResult(dialling)
        line.dataReceived(connect[10:])
        self.assertIs(self.successResultOf(dialling), line)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_refused(self) -> None:
        """Closed, silent or nonsense: there is none; nor where nobody can be dialled."""
        dialling = self.dial()
        self.lose(self.proxy.lines[-1])
        self.assertIsNone(self.successResultOf(dialling))
        dialling = self.dial()
        self.clock.advance(ANSWER_TIME)
        self.assertIsNone(self.successResultOf(dialling))
        self.assertTrue(self.wire(self.proxy.lines[-1]).aborted)
        for nonsense in (b"GET / HTTP/1.1\r\n\r\n", m.End(1).encode(), b"9999:"):
            dialling = self.dial()
            self.proxy.lines[-1].dataReceived(nonsense)
            self.assertIsNone(self.successResultOf(dialling))
            self.assertTrue(self.wire(self.proxy.lines[-1]).aborted)
        self.proxy.refuses = True
        self.assertIsNone(self.successResultOf(self.dial()))

    def test_again(self) -> None:
        """An idle one claims the next token at once, and is not answered."""
        line = self.claimed(1)
        self.written(line)
        self.sent(line)
        self.assertIs(line.state, GuestDataState.IDLE)
        self.assertIs(self.successResultOf(self.dial(2)), line)
        self.assertEqual(self.written(line), m.Connect(2, TOKEN).encode())
        self.assertEqual((len(self.proxy.lines), line.state), (1, GuestDataState.BUSY))
        self.clock.advance(IDLE_TIME + 1)
        self.assertFalse(self.wire(line).disconnecting)

    def test_idle(self) -> None:
        """Few are kept, none for long; one on which something comes is closed."""
        lines = [self.claimed(number) for number in range(1, IDLE_MOST + 2)]
        for line in lines:
            self.sent(line)
        self.assertEqual(
            [self.wire(line).disconnecting for line in lines], [False] * IDLE_MOST + [True]
        )
        lines[0].dataReceived(b"?")
        self.assertTrue(self.wire(lines[0]).aborted)
        self.clock.advance(IDLE_TIME)
        self.assertTrue(all(self.wire(line).disconnecting for line in lines))
        for line in lines:
            self.lose(line)
        self.assertEqual((self.pool._idle, self.pool._open), ([], set()))

    def test_an_idle_one_is_lost(self) -> None:
        """It is not offered any more."""
        line = self.claimed()
        self.sent(line)
        self.lose(line)
        self.assertIsNot(self.claimed(2), line)

    def test_close(self) -> None:
        """With the pool all are closed, and none is kept."""
        busy, other = self.claimed(1), self.claimed(2)
        self.pool.close()
        self.assertTrue(self.wire(busy).aborted and self.wire(other).aborted)
        line = self.claimed(3)
        self.sent(line, 3)
        self.assertTrue(self.wire(line).disconnecting)


class ReceivingTests(DataTestCase):
    def test_whole(self) -> None:
        """Exactly the length; then it is idle."""
        line, receiver = self.claimed(), Receiver()
        line.receive(10, receiver)
        line.dataReceived(b"01234")
        self.assertEqual(receiver.said, [])
        line.dataReceived(b"56789")
        self.assertEqual((receiver.data, receiver.said), (b"0123456789", ["complete"]))
        self.assertIs(line.state, GuestDataState.IDLE)

    def test_early(self) -> None:
        """What comes with the answer is held, without reading on, until somebody wants it."""
        dialling = self.dial()
        (line,) = self.proxy.lines
        line.dataReceived(m.Connect(1, TOKEN).encode() + b"01234")
        self.assertIs(self.successResultOf(dialling), line)
        self.assertEqual(self.wire(line).producerState, "paused")
        receiver = Receiver()
        line.receive(5, receiver)
        self.assertEqual((receiver.data, receiver.said), (b"01234", ["complete"]))
        self.assertEqual(self.wire(line).producerState, "producing")

    def test_lost(self) -> None:
        """A connection that ends before the body is told, whenever that is."""
        line, receiver = self.claimed(), Receiver()
        line.receive(10, receiver)
        line.dataReceived(b"01234")
        self.lose(line)
        self.assertEqual((receiver.data, receiver.said), (b"01234", ["lost"]))
        for early in (b"", b"01234"):
            line, receiver = self.claimed(), Receiver()
            if early:
                line.dataReceived(early)
            self.lose(line)
            line.receive(10, receiver)
            self.assertEqual((receiver.data, receiver.said), (early, ["lost"]))
        line, receiver = self.claimed(), Receiver()
        line.dataReceived(b"01234")
        self.lose(line)
        line.receive(5, receiver)
        self.assertEqual((receiver.data, receiver.said), (b"01234", ["complete"]))

    def test_too_much(self) -> None:
        """More than the length is no body, and whoever waits for it hears so."""
        line, receiver = self.claimed(), Receiver()
        line.receive(3, receiver)
        line.dataReceived(b"0123")
        self.lose(line)
        self.assertEqual((receiver.data, receiver.said), (b"", ["lost"]))
        self.assertTrue(self.wire(line).aborted)
        line, receiver = self.claimed(), Receiver()
        line.dataReceived(b"0123")
        line.receive(3, receiver)
        self.assertEqual((receiver.data, receiver.said), (b"", ["lost"]))

    def test_pace(self) -> None:
        """The reader's is the sender's."""
        line = self.claimed()
        line.receive(10, Receiver())
        line.pause()
        line.pause()
        self.assertEqual(self.wire(line).producerState, "paused")
        line.resume()
        self.assertEqual(self.wire(line).producerState, "producing")


class SendingTests(DataTestCase):
    def test_pieces(self) -> None:
        """All of it; it waits while the transport is full."""
        line = self.claimed()
        self.written(line)
        self.assertTrue(self.successResultOf(ensureDeferred(line.send(b"x" * 600_000))))
        self.assertEqual(self.written(line), b"x" * 600_000)
        line.pauseProducing()
        waiting = ensureDeferred(line.send(b"y"))
        self.assertNoResult(waiting)
        line.resumeProducing()
        self.assertTrue(self.successResultOf(waiting))
        self.assertEqual(self.written(line), b"y")

    def test_gone(self) -> None:
        """Who sends is told that the connection is gone: amid it, and afterwards."""
        line = self.claimed()
        line.pauseProducing()
        waiting = ensureDeferred(line.send(b"y"))
        self.lose(line)
        self.assertIs(self.successResultOf(waiting), False)
        self.assertIs(self.successResultOf(ensureDeferred(line.send(b"z"))), False)

    def test_release(self) -> None:
        """It is idle only when the proxy says that it has all, in pieces or with other words."""
        line = self.claimed()
        line.release()
        self.assertIs(line.state, GuestDataState.SENT)
        end = m.End(1).encode()
        line.dataReceived(end[:3])
        self.assertIs(line.state, GuestDataState.SENT)
        line.dataReceived(end[3:])
        self.assertIs(line.state, GuestDataState.IDLE)
        for nonsense in (m.Connect(1, TOKEN).encode(), b"x"):
            line = self.claimed(2)
            line.release()
            line.dataReceived(nonsense)
            self.assertTrue(self.wire(line).aborted)

    def test_the_word_before_the_end(self) -> None:
        """What the proxy says while the last bytes leave is not forgotten."""
        line = self.claimed()
        line.dataReceived(m.End(1).encode())
        line.release()
        self.assertIs(line.state, GuestDataState.IDLE)

    def test_release_of_a_lost_one(self) -> None:
        """Nothing is kept of it."""
        line = self.claimed()
        self.lose(line)
        line.release()
        line.close()
        line.abort()
        self.assertIs(line.state, GuestDataState.CLOSED)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AnotherPoolTests(DataTestCase):
    """Each subscription has its own: its proxy may be another process by now."""

    def test_what_is_idle_is_not_shared(self) -> None:
        line = self.claimed()
        self.sent(line)
        self.assertIs(line.state, GuestDataState.IDLE)
        ensureDeferred(self.pool.another().connect(2, TOKEN))
        self.assertEqual(len(self.proxy.lines), 2)
        self.assertIs(self.claimed(3), line)

    def test_retired(self) -> None:
        """What is idle is closed, what is under way goes on, and nothing is kept."""
        idle = self.claimed()
        busy = self.claimed(2)
        self.sent(idle)
        self.pool.retire()
        self.assertIs(idle.state, GuestDataState.CLOSED)
        self.assertTrue(self.wire(idle).disconnecting)
        self.assertFalse(self.wire(idle).aborted)
        self.assertIs(busy.state, GuestDataState.BUSY)
        self.sent(busy, 2)
        self.assertIs(busy.state, GuestDataState.CLOSED)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed_with_the_first(self) -> None:
        other = self.pool.another()
        ensureDeferred(other.connect(1, TOKEN)).addErrback(lambda _: None)
        self.pool.close()
        self.assertTrue(self.wire(self.proxy.lines[0]).aborted)
