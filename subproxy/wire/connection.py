"""
One connection of the wire, as either role: bytes in, messages out; messages in, bytes out.

No I/O and no clock. A shell calls L{WireConnection.feed} with what it read, then takes
L{WireConnection.next_event} until there is none (or it has had enough for this turn), says
what it wants with L{WireConnection.send} and the body methods, and at the end of the turn
writes L{WireConnection.data_to_send}, everything of that turn at once.
"""

from __future__ import annotations

from subproxy.wire import messages as m
from subproxy.wire.credit import ReceiveWindow, SendWindow
from subproxy.wire.errors import (
    ExchangeError,
    HelloError,
    LocalProtocolError,
    RemoteProtocolError,
    StateError,
)
from subproxy.wire.events import Broken, Ignored, Violation, WireEvent
from subproxy.wire.exchange import WireExchange
from subproxy.wire.fields import Info
from subproxy.wire.frames import FrameDecoder, Piece, framed_size
from subproxy.wire.greeting import limits_info, parse_limits
from subproxy.wire.heads import asking_fault, asks, head_event, waits
from subproxy.wire.info import takes_ahead, tunnel_tokens
from subproxy.wire.limits import BODY_CHUNK, BODY_OVERHEAD, MAX_REASON, Limits
from subproxy.wire.messages import Message, parse
from subproxy.wire.states import SIDES, Event, Half, Role, Side
from subproxy.wire.tunnel import WireTunnel
from subproxy.wire.whole import WholeExchanges

__all__ = [
    "Broken",
    "Ignored",
    "Violation",
    "WireConnection",
    "WireEvent",
    "limits_info",
    "parse_limits",
]

_IGNORED_AT_ONCE = 16
_IGNORED_BYTES = 8192
"""Likewise of their bytes, so that it is bounded in time."""


class WireConnection(WholeExchanges):
    """
    The state of one connection.

    @ivar role: who we are.
    @ivar limits: what we take.
    @ivar peer_limits: what the peer takes, once it has greeted.
    @ivar ours: the state of our side.
    @ivar theirs: the state of the peer's side.
    @ivar exchanges: those that are under way, by number.
    @ivar last: the highest exchange number so far.
    @ivar bulk: C{welcome} has offered data connections.
    @ivar ahead: of a proxy: that, to a guest that takes tokens with requests.
    @ivar tunnels: for what C{request} may ask for a tunnel: C{hello} and C{welcome} have said so.
    """

    def __init__(self, role: Role, limits: Limits | None = None) -> None:
        super().__init__(role)
        self.limits = limits or Limits()
        self.ours = Side.IDLE
        self.theirs = Side.IDLE
        self.last = 0
        self.bulk = False
        self.ahead = False
        self.tunnels: frozenset[bytes] = frozenset()
        self._announced: frozenset[bytes] = frozenset()
        self._decoder = FrameDecoder(self.limits.frame)
        self._our_table = SIDES[role]
        self._their_table = SIDES[role.peer]
        self._broken = False
        self._chunk = BODY_CHUNK

    def __repr__(self) -> str:
        return (
            f"<WireConnection {self.role.name} ours={self.ours.name} theirs={self.theirs.name}"
            f" exchanges={len(self.exchanges)}>"
        )

    # What the compiled path needs to know (subproxy.fastpath).

    @property
    def out(self) -> list[Piece]:
        """What was said since L{data_to_send}: always the same list."""
        return self._out

    @property
    def most(self) -> int:
        """Bytes of the longest frame that the peer takes, with its length."""
        return self._most

    @property
    def unparsed(self) -> int:
        """How many bytes are held that are no whole message yet, or not taken."""
        return self._decoder.pending

    def adopt(self, number: int, whole: bool = True) -> None:
        """
        A request was sent under C{number}, which is C{last} or less.

        @param whole: with its body; else that goes over a data connection, and its C{end} has not
            been said.
        """
        exchange = WireExchange(
            self.role,
            number,
            SendWindow(self.peer_limits.window if whole else 0, self._chunk),
            ReceiveWindow(self.limits.window),
        )
        exchange.sent(Event.WHOLE if whole else Event.BULK)
        self.exchanges[number] = exchange

    def adopt_tunnel(self, number: int) -> WireExchange:
        """A tunnel was asked for under C{number}, which is C{last} or less, and is not accepted."""
        exchange = WireExchange(
            self.role, number, SendWindow(0, self._chunk), ReceiveWindow(self.limits.window)
        )
        exchange.sent(Event.STREAM)
        exchange.tunnel = WireTunnel()
        self.exchanges[number] = exchange
        return exchange

    def adopt_download(self, number: int, ended: bool) -> None:
        """
        The peer has begun to answer C{number}, which was adopted, over a data connection.

        @param ended: it has said C{end}.
        """
        exchange = self.exchanges[number]
        exchange.came(Event.BULK)
        if ended:
            exchange.came(Event.END)
            self._settle(exchange)

    # Receiving.

    def feed(self, data: bytes) -> None:
        """Take bytes that were read."""
        if not self._broken:
            self._decoder.feed(data)

    def discard(self) -> None:
        """Nothing more of what came, or comes, is of interest."""
        self._broken = True
        self._decoder.clear()

    def next_event(self) -> WireEvent | None:
        """The next thing that happened, or None if more bytes are needed. Never raises."""
        ignored = 0
        before = self._decoder.pending
        while self.theirs is not Side.DATA:
            try:
                frame = self._decoder.next()
                if frame is None:
                    return None
                message = parse(frame)
                if message is None:
                    if self.theirs is Side.IDLE:
                        raise StateError("the first frame is not one that opens a connection")
                elif self._came(message):
                    return message
                ignored += 1
                if ignored == _IGNORED_AT_ONCE or before - self._decoder.pending >= _IGNORED_BYTES:
                    return Ignored(ignored)
            except ExchangeError as error:
                return self._violated(error.exchange, str(error))
            except RemoteProtocolError as error:
                return self._broke(error)
        return None

    def rest(self) -> bytes:
        """What was read but is not part of a frame taken so far: raw bytes after C{connect}."""
        return self._decoder.take_rest()

    def _came(self, message: Message) -> bool:
        """Apply a message of the peer's; False if it is of no interest any more."""
        try:
            self.theirs = self._their_table[self.theirs][message.verb]
        except KeyError:
            raise StateError(
                f"no {message.verb.decode()} is allowed when {self.theirs.name.lower()}"
            ) from None
        kind = type(message)
        if self.ours is Side.DONE:
            return kind is m.Bye
        if kind is m.Welcome and self.ours is Side.IDLE:
            raise StateError("no welcome is allowed before hello")
        if self.theirs is Side.DATA and self.role is Role.GUEST and self.ours is not Side.DATA:
            raise StateError("no connect is allowed before ours")
        if kind is m.Hello or kind is m.Welcome:
            self._greeted(message.info)  # type: ignore[attr-defined]
            return True
        if kind is m.Request:
            assert isinstance(message, m.Request)
            self._request_came(message)
            return True
        if kind not in _OF_EXCHANGE or self.theirs is Side.DATA:
            return True
        number: int = message.exchange  # type: ignore[attr-defined]
        exchange = self.exchanges.get(number)
        if exchange is None:
            if number > self.last:
                raise StateError(f"exchange {number} was never begun")
            return False
        return self._exchange_came(exchange, message)

    def _greeted(self, info: Info) -> None:
        self.peer_limits = limits = parse_limits(info)
        self._most = framed_size(limits.frame)
        self._chunk = min(BODY_CHUNK, limits.frame - BODY_OVERHEAD)
        if self.role is Role.GUEST:
            self._offered(info)
        else:
            self._announced = frozenset(tunnel_tokens(info))
            self.ahead = takes_ahead(info)

    def _offered(self, welcome: Info) -> None:
        self.bulk = b"bulk" in welcome
        self.tunnels = self._announced if b"tunnel" in welcome else frozenset()

    def _request_came(self, message: m.Request) -> None:
        if message.exchange <= self.last:
            raise StateError(f"exchange {message.exchange} does not follow {self.last}")
        self.last = message.exchange
        window = self.limits.window
        exchange = WireExchange(
            self.role,
            message.exchange,
            SendWindow(self.peer_limits.window, self._chunk),
            ReceiveWindow(window, 0 if waits(message, self.tunnels) else window),
        )
        self.exchanges[message.exchange] = exchange
        event = self._head_came(exchange, message.body)
        if asks(message, self.tunnels):
            fault = asking_fault(message, self.tunnels)
            if fault:
                raise ExchangeError(exchange.number, fault)
            exchange.tunnel = WireTunnel()
        exchange.came(event)

    def _exchange_came(self, exchange: WireExchange, message: Message) -> bool:
        match message:
            case m.Body():
                exchange.came(Event.BODY)
                if not exchange.receiving.received(len(message.data)):
                    raise ExchangeError(exchange.number, "more body than there was credit for")
                if exchange.tunnel is not None:
                    exchange.tunnel.received += len(message.data)
            case m.End():
                exchange.end_came(message.trailers, message.info)
                self._settle(exchange)
            case m.Move():
                exchange.move_came(message.length)
            case m.Credit() if exchange.ours is Half.RAW:
                return False
            case m.Credit():
                pieces = exchange.sending.granted(message.amount)
                if pieces is None:
                    raise ExchangeError(exchange.number, "more credit than a window can hold")
                self._write_pieces(exchange, pieces)
            case m.Abort():
                del self.exchanges[exchange.number]
            case m.Connect():
                if not self.bulk:
                    raise ExchangeError(exchange.number, "data connections were not offered")
                exchange.connect_came()
            case m.Response():
                if message.status < 200:
                    exchange.came(Event.INTERIM)
                    if message.body != b"":
                        raise ExchangeError(exchange.number, "an interim response with a body")
                else:
                    event = self._head_came(exchange, message.body)
                    exchange.response_came(message.status, event)
                    self._settle(exchange)
        return True

    def _head_came(self, exchange: WireExchange, body: bytes | Info | None) -> Event:
        event = head_event(body)
        if event is Event.WHOLE and len(body) > self.limits.inline:  # type: ignore[arg-type]
            raise ExchangeError(exchange.number, "a longer body than may be inline")
        if event is Event.BULK and not self.bulk:
            raise ExchangeError(exchange.number, "data connections were not offered")
        return event

    def _violated(self, number: int, reason: str) -> Violation:
        del self.exchanges[number]
        self._out += m.Abort(number, b"protocol", reason.encode()).pieces()
        return Violation(number, reason)

    def _broke(self, error: RemoteProtocolError) -> Broken:
        self.discard()
        # Frames that it came through hold what we say, and that holds it: a cycle each time.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        if self.ours not in (Side.DATA, Side.DONE):
            reason = str(error).encode()[:MAX_REASON]
            if type(error) is HelloError and self.role is Role.PROXY and self.theirs is Side.IDLE:
                self.send(m.Refused(0, error.refusal, reason))
            self.send(m.Bye(error.code, reason))
        return Broken(error)

    # Sending.

    def send(self, message: Message) -> None:
        """
        Say C{message}, at the end of this turn.

        Bodies go through L{write_body} and L{end_body}, which know about credit.

        @raise LocalProtocolError: it is not allowed now.
        @raise TooLarge: its frame is longer than the peer takes.
        """
        try:
            after = self._our_table[self.ours][message.verb]
        except KeyError:
            raise LocalProtocolError(
                f"no {message.verb.decode()} when our side is {self.ours.name}"
            ) from None
        pieces = message.pieces()
        self._check_size(pieces)
        if isinstance(message, m.Request):
            self._request_sent(message)
        elif isinstance(message, m.Response):
            self._response_sent(message)
        elif not self._may_send(message):
            return
        self.ours = after
        self._out += pieces

    def _may_send(self, message: Message) -> bool:
        """Apply a message that has no head; False if it is of no use any more."""
        match message:
            case m.Move():
                raise LocalProtocolError("use move_body")
            case m.Body() | m.End() | m.Credit():
                raise LocalProtocolError("use write_body, end_body and consumed")
            case m.Hello():
                self._announced = frozenset(tunnel_tokens(message.info))
            case m.Abort():
                if message.exchange > self.last:
                    raise LocalProtocolError(f"exchange {message.exchange} was never begun")
                return self.exchanges.pop(message.exchange, None) is not None
            case m.Connect():
                if self.ours is not Side.IDLE:
                    exchange = self._exchange(message.exchange)
                    if not self.bulk:
                        raise LocalProtocolError("data connections were not offered")
                    exchange.connect_sent()
            case m.Welcome():
                if self.theirs in (Side.IDLE, Side.DATA):
                    raise LocalProtocolError("no welcome before hello")
                self._offered(message.info)
            case m.Bye():
                self.exchanges.clear()
        return True

    def _request_sent(self, message: m.Request) -> None:
        if message.exchange <= self.last:
            raise LocalProtocolError("exchange numbers grow")
        event = self._head_sent(message.body)
        tunnel = b"tunnel" in message.info
        fault = asking_fault(message, self.tunnels) if tunnel else None
        if fault:
            raise LocalProtocolError(fault)
        self.last = message.exchange
        exchange = WireExchange(
            self.role,
            message.exchange,
            SendWindow(0 if waits(message, self.tunnels) else self.peer_limits.window, self._chunk),
            ReceiveWindow(self.limits.window),
        )
        exchange.sent(event)
        if tunnel:
            exchange.tunnel = WireTunnel()
        self.exchanges[message.exchange] = exchange

    def _response_sent(self, message: m.Response) -> None:
        exchange = self._exchange(message.exchange)
        if message.status >= 200:
            exchange.response_sent(message.status, self._head_sent(message.body))
            self._settle(exchange)
            return
        if message.body != b"":
            raise LocalProtocolError("an interim response has no body")
        exchange.sent(Event.INTERIM)

    def _head_sent(self, body: bytes | Info | None) -> Event:
        event = head_event(body)
        if event is Event.WHOLE and len(body) > self.peer_limits.inline:  # type: ignore[arg-type]
            raise LocalProtocolError("a longer body than the peer takes inline")
        if event is Event.BULK and not self.bulk:
            raise LocalProtocolError("data connections were not offered")
        return event

    def reject(self, number: int, reason: bytes) -> None:
        """
        Abort an exchange whose response broke a rule of HTTP.

        A complete one has ended the exchange, and C{abort} is sent all the same: the peer ignores
        it, but can log it (docs/protocol.md, "response").
        """
        if self.ours in (Side.OPEN, Side.DRAINING):
            self.exchanges.pop(number, None)
            self._out += m.Abort(number, b"protocol", reason[:MAX_REASON]).pieces()

    def data_to_send(self) -> bytes:
        """The bytes of everything said since the last call."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        return data


_OF_EXCHANGE = frozenset({m.Response, m.Body, m.End, m.Move, m.Credit, m.Abort, m.Connect})
