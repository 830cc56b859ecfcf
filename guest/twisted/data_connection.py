"""
Data connections: what carries large bodies beside a subscription (docs/protocol.md).

A L{DataPool} dials them where its subscription was dialled, and keeps a few that are idle.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any
from weakref import WeakSet

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IPushProducer, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from guest.core.data_link import BodyReceiver
from guest.core.files import FileBody
from guest.twisted.direct_writer import DirectWriter
from subproxy.wire import messages as m
from subproxy.wire.errors import RemoteProtocolError
from subproxy.wire.frames import FrameDecoder

IDLE_MOST = 8
"""So many idle connections are kept..."""

IDLE_TIME = 15.0
"""... for so many seconds: much less than the proxy keeps them, so that it closes none in use."""

ANSWER_TIME = 2.0
"""The proxy must answer the first C{connect} of a connection within so many seconds."""

PIECE = 262_144
"""Bytes that are given to the transport at once."""


class GuestDataState(Enum):
    """What a data connection does."""

    ASKING = auto()
    """It has claimed its first token, and waits for the answer."""
    BUSY = auto()
    """It carries a body, or has claimed a token for one."""
    SENT = auto()
    """It has sent a body; the proxy will say when that has come."""
    IDLE = auto()
    CLOSED = auto()


@implementer(IPushProducer)
class GuestDataConnection(Protocol):
    """One of them."""

    _log = Logger()

    def __init__(self, pool: DataPool) -> None:
        self.state = GuestDataState.ASKING
        self._pool = pool
        self._answer: Deferred[bool] | None = None
        self._decoder = FrameDecoder(1024)
        self._receiver: BodyReceiver | None = None
        self._early: list[bytes] = []  # came before anybody wanted it
        self._left = 0
        self._paused = False
        self._full = False
        self._room: Deferred[None] | None = None
        self._outlet: DirectWriter | None = None
        self._timer: Any = None

    def connectionMade(self) -> None:
        """See C{IProtocol}."""
        self._transport().registerProducer(self, True)
        DirectWriter.widen(self._transport())

    def _transport(self) -> Any:
        return self.transport

    # Claiming.

    def ask(self, exchange: int, token: bytes) -> Deferred[bool]:
        """Claim the first token; fires with whether the proxy took it."""
        self._transport().write(m.Connect(exchange, token).encode())
        self._answer = Deferred()
        self._timer = self._pool.clock.callLater(ANSWER_TIME, self.abort)
        return self._answer

    def claim(self, exchange: int, token: bytes) -> None:
        """Claim a further token, with a connection that is idle."""
        self._stop_timer()
        self.state = GuestDataState.BUSY
        self._transport().write(m.Connect(exchange, token).encode())

    def _answered(self, taken: bool) -> None:
        self._stop_timer()
        answer, self._answer = self._answer, None
        if answer is not None:
            if taken:
                self.state = GuestDataState.BUSY
            answer.callback(taken)

    def dataReceived(self, data: bytes) -> None:
        """See C{IProtocol}."""
        if self.state is GuestDataState.ASKING:
            self._decoder.feed(data)
            try:
                frame = self._decoder.next()
                if frame is None:
                    return
                if not isinstance(m.parse(frame), m.Connect):
                    raise RemoteProtocolError("the proxy answers something else")
            except RemoteProtocolError as error:
                self._log.error("data connection: {error}", error=error)
                self.abort()
                return
            data = self._decoder.take_rest()
            self._answered(True)
            if not data:
                return
        if self.state is GuestDataState.BUSY:
            self._body_came(data)
        elif self.state is GuestDataState.SENT:
            self._sent_came(data)
        elif self.state is GuestDataState.IDLE:
            self.abort()

    def _sent_came(self, data: bytes) -> None:
        """The proxy says that it has all of what we sent."""
        self._decoder.feed(data)
        try:
            frame = self._decoder.next()
            if frame is not None:
                if not isinstance(m.parse(frame), m.End):
                    raise RemoteProtocolError("the proxy says something else")
                self._rest()
        except RemoteProtocolError as error:
            self._log.error("data connection: {error}", error=error)
            self.abort()

    # A request's body.

    def receive(self, length: int, receiver: BodyReceiver) -> None:
        """Give C{receiver} the next C{length} bytes."""
        self._receiver = receiver
        self._left = length
        early, self._early = self._early, []
        if self.state is GuestDataState.CLOSED and not early:
            receiver.data_lost()
            return
        for each in early:
            self._body_came(each)
        if self.state is GuestDataState.CLOSED and self._receiver is receiver:
            self._receiver = None
            receiver.data_lost()

    def _body_came(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is None:
            self._early.append(data)
            self.pause()
            return
        self._left -= len(data)
        if self._left < 0:
            self.abort()
            return
        receiver.data_received(data)
        if not self._left and self._receiver is receiver:
            self._receiver = None
            self._rest()
            receiver.data_complete()

    def pause(self) -> None:
        """Read no more for now."""
        if not self._paused and self.state is not GuestDataState.CLOSED:
            self._paused = True
            self._transport().pauseProducing()

    def resume(self) -> None:
        """Read on."""
        if self._paused:
            self._paused = False
            if self.state is not GuestDataState.CLOSED:
                self._transport().resumeProducing()

    # A response's body.

    async def send(self, piece: bytes) -> bool:
        """Send some body; returns when there is room for more, with whether there ever will be."""
        outlet = await self._direct()
        if outlet is not None:
            return await outlet.send(piece)
        for start in range(0, len(piece), PIECE):
            if self.state is GuestDataState.CLOSED:
                return False
            self._transport().write(bytes(memoryview(piece)[start : start + PIECE]))
            if self._full:
                self._room = Deferred()
                await self._room
        return self.state is not GuestDataState.CLOSED

    async def send_file(self, body: FileBody) -> bool:
        """
        Send all of C{body}; likewise.

        @raise OSError: the file can't be read, or has become shorter.
        """
        outlet = await self._direct()
        if outlet is not None:
            return await outlet.send_file(body.file.fileno(), body.start, body.stop)
        for piece in body:
            if not await self.send(piece):
                return False
        return True

    def _is_closed(self) -> bool:
        return self.state is GuestDataState.CLOSED

    async def _direct(self) -> DirectWriter | None:
        """The socket itself, when all that was given to the transport has left; None if closed."""
        transport = self._transport()
        if self.state is GuestDataState.CLOSED or not DirectWriter.possible(transport):
            return None
        while not DirectWriter.written(transport):
            transport.producerPaused = True
            transport.startWriting()
            self._room = Deferred()
            await self._room
            if self._is_closed():
                return None
        if self._outlet is None:
            self._outlet = DirectWriter(transport)
        return self._outlet

    def pauseProducing(self) -> None:
        """See C{IPushProducer}."""
        self._full = True

    def resumeProducing(self) -> None:
        """See C{IPushProducer}."""
        self._full = False
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    def stopProducing(self) -> None:
        """See C{IPushProducer}; C{connectionLost} follows."""

    # The end.

    def release(self) -> None:
        """A body has been sent whole: keep the connection for another, when it has come."""
        if self.state is GuestDataState.CLOSED:
            return
        self.state = GuestDataState.SENT
        self._close_outlet()
        self.resume()
        early, self._early = self._early, []
        if early:
            self._sent_came(b"".join(early))

    def _rest(self) -> None:
        """Nothing is under way."""
        self.state = GuestDataState.IDLE
        self.resume()
        if self._pool.keep(self):
            self._timer = self._pool.clock.callLater(IDLE_TIME, self.close)
        else:
            self.close()

    def close(self) -> None:
        """Close behind what was written."""
        if self.state is not GuestDataState.CLOSED:
            self._over()
            self._transport().unregisterProducer()
            self._transport().loseConnection()

    def abort(self) -> None:
        """Close at once."""
        if self.state is not GuestDataState.CLOSED:
            self._over()
            self._transport().abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See C{IProtocol}."""
        receiver = self._receiver
        if self.state is not GuestDataState.CLOSED:
            self._over()
            if receiver is not None:
                receiver.data_lost()
        self._pool.gone(self)

    def _over(self) -> None:
        self.state = GuestDataState.CLOSED
        self._receiver = None
        self._stop_timer()
        self._close_outlet()
        self._pool.drop(self)
        self._answered(False)
        self.resumeProducing()

    def _close_outlet(self) -> None:
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            outlet.close()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


class DataPool:
    """
    Dials data connections for one subscription, and keeps some.

    That of another subscription has its own: what was dialled for this one may lead to a proxy
    that knows nothing of the other, since the one takes over from the other.

    @param endpoint: where the subscription is dialled, too.
    @param clock: an L{IReactorTime}.
    """

    _log = Logger()

    def __init__(self, endpoint: IStreamClientEndpoint, clock: Any) -> None:
        self.clock = clock
        self._endpoint = endpoint
        self._idle: list[GuestDataConnection] = []
        self._open: set[GuestDataConnection] = set()
        self._factory = _DataFactory(self)
        self._closed = False
        self._others: WeakSet[DataPool] = WeakSet()

    def another(self) -> DataPool:
        """The same for one more subscription, which is closed with this one."""
        other = DataPool(self._endpoint, self.clock)
        self._others.add(other)
        return other

    async def connect(self, exchange: int, token: bytes) -> GuestDataConnection | None:
        """
        A data connection for the body that C{token} stands for; None if none can be had.

        With one that was idle, whether the proxy takes the token is known only later.
        """
        if self._idle:
            idle = self._idle.pop()
            idle.claim(exchange, token)
            return idle
        try:
            dialled: Any = await self._endpoint.connect(self._factory)
        except Exception as error:
            self._log.warn("no data connection: {error}", error=error)
            return None
        connection: GuestDataConnection = dialled
        self._open.add(connection)
        return connection if await connection.ask(exchange, token) else None

    def keep(self, connection: GuestDataConnection) -> bool:
        """C{connection} is idle; False if it is not wanted."""
        if self._closed or len(self._idle) >= IDLE_MOST:
            return False
        self._idle.append(connection)
        return True

    def drop(self, connection: GuestDataConnection) -> None:
        """C{connection} is of no more use."""
        if connection in self._idle:
            self._idle.remove(connection)

    def gone(self, connection: GuestDataConnection) -> None:
        """C{connection} is closed."""
        self._open.discard(connection)

    def retire(self) -> None:
        """The subscription is over: keep none, and close those that carry nothing."""
        self._closed = True
        for connection in list(self._idle):
            connection.close()

    def close(self) -> None:
        """Close all that there are."""
        self._closed = True
        for connection in list(self._open):
            connection.abort()
        for other in list(self._others):
            other.close()


class _DataFactory(Factory):
    noisy = False

    def __init__(self, pool: DataPool) -> None:
        self._pool = pool

    def buildProtocol(self, addr: IAddress | None) -> GuestDataConnection:
        return GuestDataConnection(self._pool)
