"""
Data connections: what carries large bodies beside a subscription (docs/protocol.md).

What a connection does, and which are kept, without its transport: that is the shell's.
Imports no framework.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum, auto
from typing import Any
from weakref import WeakSet

from guest.core.data_link import BodyReceiver
from guest.core.files import FileBody
from guest.core.runtime import Runtime, Timer
from subproxy.wire import messages as m
from subproxy.wire.errors import RemoteProtocolError
from subproxy.wire.frames import FrameDecoder

IDLE_MOST = 8
"""So many idle connections are kept..."""

IDLE_TIME = 15.0
"""... for so many seconds: much less than the proxy keeps them, so that it closes none in use."""

ANSWER_TIME = 2.0
"""The proxy must answer the first C{connect} of a connection within so many seconds."""


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


class BodyConnection(ABC):
    """
    One of them; a shell adds the transport.

    @ivar state: what it does.
    """

    def __init__(self, pool: DataConnectionPool) -> None:
        self.state = GuestDataState.ASKING
        self._pool = pool
        self._runtime = pool.runtime
        self._answer: Any = None
        self._decoder = FrameDecoder(1024)
        self._receiver: BodyReceiver | None = None
        self._early: list[bytes] = []  # came before anybody wanted it
        self._left: int | None = 0  # of what is to come; None of a tunnel
        self._paused = False
        self._timer: Timer | None = None

    # What a shell adds.

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send C{data} behind what was written before."""

    @abstractmethod
    def pause_reading(self) -> None:
        """Have the transport read no more for now."""

    @abstractmethod
    def resume_reading(self) -> None:
        """Have it read on."""

    @abstractmethod
    def close_transport(self) -> None:
        """Close behind what was written."""

    @abstractmethod
    def abort_transport(self) -> None:
        """Close at once."""

    @abstractmethod
    def stop_sending(self) -> None:
        """Nothing more is sent of this body; if it is closed, whoever waits for room is told."""

    @abstractmethod
    async def send(self, piece: bytes) -> bool:
        """Send some body; returns when there is room for more, with whether there ever will be."""

    @abstractmethod
    async def send_file(self, body: FileBody) -> bool:
        """
        Send all of C{body}; likewise.

        @raise OSError: the file can't be read, or has become shorter.
        """

    # Claiming.

    def ask(self, exchange: int, token: bytes) -> Any:
        """Claim the first token; a future, of whether the proxy took it."""
        self.write(m.Connect(exchange, token).encode())
        self._answer = self._runtime.future()
        self._timer = self._runtime.later(ANSWER_TIME, self.abort)
        return self._answer

    def claim(self, exchange: int, token: bytes) -> None:
        """Claim a further token, with a connection that is idle."""
        self._stop_timer()
        self.state = GuestDataState.BUSY
        self.write(m.Connect(exchange, token).encode())

    def _answered(self, taken: bool) -> None:
        self._stop_timer()
        answer, self._answer = self._answer, None
        if answer is not None:
            if taken:
                self.state = GuestDataState.BUSY
            self._runtime.resolve(answer, taken)

    def data_came(self, data: bytes) -> None:
        """Bytes were read."""
        if self.state is GuestDataState.ASKING:
            self._decoder.feed(data)
            try:
                frame = self._decoder.next()
                if frame is None:
                    return
                if not isinstance(m.parse(frame), m.Connect):
                    raise RemoteProtocolError("the proxy answers something else")
            except RemoteProtocolError as error:
                self._runtime.log.error("data connection: {error}", error=error)
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
            self._runtime.log.error("data connection: {error}", error=error)
            self.abort()

    # A request's body, or a client's half of a tunnel.

    def receive(self, length: int | None, receiver: BodyReceiver) -> None:
        """Give C{receiver} the next C{length} bytes; None: all that come."""
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
        if self._left is None:
            receiver.data_received(data)
            return
        self._left -= len(data)
        if self._left < 0:
            self._runtime.log.error("data connection: more came than the length of the body")
            self.abort()
            receiver.data_lost()
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
            self.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._paused:
            self._paused = False
            if self.state is not GuestDataState.CLOSED:
                self.resume_reading()

    # The end.

    def release(self) -> None:
        """A body has been sent whole: keep the connection for another, when it has come."""
        if self.state is GuestDataState.CLOSED:
            return
        self.state = GuestDataState.SENT
        self.stop_sending()
        self.resume()
        early, self._early = self._early, []
        if early:
            self._sent_came(b"".join(early))

    def _rest(self) -> None:
        """Nothing is under way."""
        self.state = GuestDataState.IDLE
        self.resume()
        if self._pool.keep(self):
            self._timer = self._runtime.later(IDLE_TIME, self.close)
        else:
            self.close()

    def close(self) -> None:
        """Close behind what was written."""
        if self.state is not GuestDataState.CLOSED:
            self._over()
            self.close_transport()

    def abort(self) -> None:
        """Close at once."""
        if self.state is not GuestDataState.CLOSED:
            self._over()
            self.abort_transport()

    def connection_over(self) -> None:
        """The transport is gone."""
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
        self._pool.drop(self)
        self._answered(False)
        self.stop_sending()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()


class DataConnectionPool(ABC):
    """
    Dials data connections for one subscription, and keeps some.

    That of another subscription has its own: what was dialled for this one may lead to a proxy
    that knows nothing of the other, since the one takes over from the other.

    @ivar runtime: how its connections wait.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._idle: list[BodyConnection] = []
        self._open: set[BodyConnection] = set()
        self._closed = False
        self._others: WeakSet[DataConnectionPool] = WeakSet()

    @abstractmethod
    def sibling(self) -> DataConnectionPool:
        """One that dials likewise, and has nothing yet."""

    @abstractmethod
    async def dial(self) -> BodyConnection:
        """
        A new connection.

        @raise Exception: none can be had.
        """

    def another(self) -> DataConnectionPool:
        """The same for one more subscription, which is closed with this one."""
        other = self.sibling()
        self._others.add(other)
        return other

    async def connect(self, exchange: int, token: bytes) -> BodyConnection | None:
        """
        A data connection for the body that C{token} stands for; None if none can be had.

        With one that was idle, whether the proxy takes the token is known only later.
        """
        return self.claim_idle(exchange, token) or await self.tunnel(exchange, token)

    def claim_idle(self, exchange: int, token: bytes) -> BodyConnection | None:
        """The same with one that is idle, at once; None if there is none."""
        if not self._idle:
            return None
        idle = self._idle.pop()
        idle.claim(exchange, token)
        return idle

    async def tunnel(self, exchange: int, token: bytes) -> BodyConnection | None:
        """
        A data connection that nothing went over, and for which the proxy has taken the token.

        What is to move must not before that.
        """
        try:
            connection = await self.dial()
        except Exception as error:
            self.runtime.log.warn("no data connection: {error}", error=error)
            return None
        self._open.add(connection)
        return connection if await connection.ask(exchange, token) else None

    def keep(self, connection: BodyConnection) -> bool:
        """C{connection} is idle; False if it is not wanted."""
        if self._closed or len(self._idle) >= IDLE_MOST:
            return False
        self._idle.append(connection)
        return True

    def drop(self, connection: BodyConnection) -> None:
        """C{connection} is of no more use."""
        if connection in self._idle:
            self._idle.remove(connection)

    def gone(self, connection: BodyConnection) -> None:
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
