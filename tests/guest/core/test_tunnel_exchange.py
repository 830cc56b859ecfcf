"""Tests for L{guest.core.tunnel_exchange}: tunnels that move, in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from guest import Request, SubscriberProtocol, TunnelAcceptance, TunnelConnection
from guest.core.exchange import HELD
from guest.errors import RequestAborted
from guest.testing import ExchangeFailed, MemoryProxy, ProxyProtocol
from subproxy.wire import messages as m


class FakeLine:
    """A data connection: what is sent, and who receives."""

    def __init__(self) -> None:
        self.sent = b""
        self.receiver: Any = None
        self.paused = False
        self.over = ""
        self.room: Deferred[bool] | None = None

    def receive(self, length: int | None, receiver: Any) -> None:
        assert length is None
        assert self.receiver is None
        self.receiver = receiver

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    async def send(self, piece: bytes) -> bool:
        self.sent += piece
        return True if self.room is None else await self.room

    def close(self) -> None:
        self.over = "closed"

    def abort(self) -> None:
        self.over = "aborted"


class FakeLines:
    """Gives one of them when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, bytes]] = []
        self.answer: Deferred[FakeLine | None] = Deferred()

    def another(self) -> FakeLines:
        return self

    async def tunnel(self, exchange: int, token: bytes) -> FakeLine | None:
        self.asked.append((exchange, token))
        return await self.answer

    def retire(self) -> None:
        """Nothing is kept."""


class TunnelExchangeTests(SynchronousTestCase):
    def open(self, bulk: bool = False, hold: bool = False) -> None:
        """A tunnel whose application is driven by the test."""
        self.tunnel: Any = None
        self.came: list[bytes] = []
        self.ended = ""
        test = self

        class Application(SubscriberProtocol):
            tunnels = (b"x-chat",)

            def tunnelReceived(self, request: Request) -> TunnelAcceptance:
                return TunnelAcceptance(self.serve, bulk=bulk)

            async def serve(self, tunnel: TunnelConnection) -> None:
                test.tunnel = tunnel
                try:
                    async for piece in tunnel:
                        test.came.append(piece)
                    test.ended = "ended"
                except RequestAborted as error:
                    test.ended = error.code
                await test.leave

        self.leave: Deferred[None] = Deferred()
        self.lines = FakeLines()
        proxy = ProxyProtocol(welcome={b"bulk": 65_536, b"tunnel": 10})
        from guest import Route, SubscriberFactory

        factory = SubscriberFactory(Application, "test", [Route(b".*")])
        factory.data = self.lines
        self.memory = MemoryProxy(factory, proxy=proxy)
        self.exchange = self.memory.begin(
            b"GET", b"/", body=None, info={b"tunnel": b"x-chat"}, hold=hold
        )
        self.wire = proxy.connection
        self.number = self.exchange.number

    def say(self, data: bytes) -> None:
        """The application sends."""
        self.sending = Deferred.fromCoroutine(self.tunnel.send(data))
        self.memory.advance()

    def offered(self) -> FakeLine:
        """The proxy offers a data connection, which is there."""
        self.memory.proxy.say(m.Connect(self.number, b"token"))
        self.memory.advance()
        line = FakeLine()
        self.lines.answer.callback(line)
        self.memory.advance()
        return line

    def moved(self) -> None:
        """The client's half has moved."""
        self.wire.move_body(self.number)
        self.memory.proxy.flush()
        self.memory.advance()

    def end(self, length: int) -> None:
        """It has ended."""
        self.wire.end_body(self.number, [], {b"length": length})
        self.memory.proxy.flush()
        self.memory.advance()

    def said(self, kind: type[Any]) -> list[Any]:
        return [each for each in self.memory.proxy.said if type(each) is kind]

    @property
    def left(self) -> int:
        """How many exchanges the guest has."""
        return len(self.memory.guest._subscription.exchanges)

    def test_it_moves(self) -> None:
        """Each half at a point of its own, in order; then the guest closes the connection."""
        self.open()
        self.say(b"in a frame")
        self.exchange.send(b"one ")
        self.memory.advance()
        line = self.offered()
        self.assertEqual(self.said(m.Move), [m.Move(self.number, 10)])
        self.say(b", and raw")
        self.assertEqual((self.exchange.response.body, line.sent), (b"in a frame", b", and raw"))
        self.assertIsNone(line.receiver)
        self.exchange.send(b"two ")
        self.moved()
        line.receiver.data_received(b"three")
        self.assertEqual(b"".join(self.came), b"one two three")
        self.end(13)
        self.assertEqual(self.ended, "ended")
        self.leave.callback(None)
        self.memory.advance()
        self.assertEqual(self.said(m.End), [m.End(self.number, [], {b"length": 19})])
        self.assertEqual((line.over, self.left), ("closed", 0))

    def test_a_move_before_the_answer(self) -> None:
        """The proxy's comes over another connection than the answer to the claim."""
        self.open()
        self.memory.proxy.say(m.Connect(self.number, b"token"))
        self.memory.advance()
        self.moved()
        line = FakeLine()
        self.lines.answer.callback(line)
        line.receiver.data_received(b"raw")
        self.assertEqual(self.came, [b"raw"])

    def test_what_waits_for_credit(self) -> None:
        """It is the first to go raw; also where it ends."""
        for ends in (False, True):
            self.open(hold=True)
            self.say(bytes(70_000))
            if ends:
                self.tunnel.end()
                self.memory.advance()
            line = self.offered()
            self.assertEqual(self.said(m.Move), [m.Move(self.number, 65_536)])
            self.assertEqual(len(line.sent), 70_000 - 65_536)
            if not ends:
                self.say(b"more")
                self.tunnel.end()
                self.memory.advance()
            size = 70_000 if ends else 70_004
            self.assertEqual(self.said(m.End), [m.End(self.number, [], {b"length": size})])

    def test_raw_at_once(self) -> None:
        """Accepted for a data connection: nothing in frames, and no credit."""
        self.open(bulk=True)
        self.say(b"early")
        self.assertEqual(self.said(m.Credit), [])
        line = self.offered()
        self.assertEqual(line.sent, b"early")
        line.receiver.data_received(b"hello")
        self.assertEqual((self.came, self.said(m.Body), self.said(m.Move)), ([b"hello"], [], []))

    def test_nobody_dials(self) -> None:
        """In frames it stays there; accepted for a data connection it is broken."""
        for bulk in (False, True):
            self.open(bulk=bulk)
            self.lines.answer.callback(None)
            self.memory.proxy.say(m.Connect(self.number, b"token"))
            self.memory.advance()
            if bulk:
                self.failureResultOf(self.exchange.finished, ExchangeFailed)
                self.assertEqual(self.ended, "lost")
            else:
                self.say(b"x")
                self.assertEqual(self.exchange.response.body, b"x")

    def test_an_end_before_its_bytes(self) -> None:
        """The exchange lasts until they are here, though on the wire it is over."""
        self.open(bulk=True)
        line = self.offered()
        self.tunnel.end()
        self.memory.advance()
        self.end(5)
        self.assertEqual((self.ended, self.left), ("", 1))
        line.receiver.data_received(b"12345")
        self.leave.callback(None)
        self.assertEqual((self.came, self.ended), ([b"12345"], "ended"))
        self.assertEqual((line.over, self.left), ("closed", 0))

    def test_more_than_its_end(self) -> None:
        self.open(bulk=True)
        line = self.offered()
        line.receiver.data_received(b"123456")
        self.end(5)
        self.failureResultOf(self.exchange.finished, ExchangeFailed)
        self.assertEqual(line.over, "aborted")

    def test_it_breaks(self) -> None:
        """While both send; and while one waits for room."""
        for waiting in (False, True):
            self.open(bulk=True)
            line = self.offered()
            if waiting:
                line.room = Deferred()
                self.say(b"x")
                line.room.callback(False)
            else:
                line.receiver.data_lost()
            self.memory.advance()
            self.failureResultOf(self.exchange.finished, ExchangeFailed)
            self.assertEqual(self.ended, "lost")
            self.leave.callback(None)
            self.assertEqual(self.left, 0)

    def test_an_application_that_takes_nothing(self) -> None:
        """Its client waits."""
        self.open(bulk=True)
        line = self.offered()
        body = self.tunnel.request.body
        waiting = body._waiter
        body._waiter = None
        line.receiver.data_received(bytes(HELD))
        self.assertTrue(line.paused)
        self.successResultOf(Deferred.fromCoroutine(body.next()))
        self.assertFalse(line.paused)
        waiting.callback(None)

    def test_the_client_leaves(self) -> None:
        self.open(bulk=True)
        line = self.offered()
        self.exchange.abort()
        self.memory.advance()
        self.assertEqual((line.over, self.ended), ("aborted", "client"))

    def test_a_line_that_comes_too_late(self) -> None:
        self.open()
        self.memory.proxy.say(m.Connect(self.number, b"token"))
        self.memory.advance()
        self.exchange.abort()
        self.memory.advance()
        line = FakeLine()
        self.lines.answer.callback(line)
        self.assertEqual(line.over, "aborted")
