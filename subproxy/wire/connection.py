"""
One connection of the wire, as either role: bytes in, messages out; messages in, bytes out.

No I/O and no clock. A shell calls L{Connection.feed} with what it read, then takes
L{Connection.next_event} until there is none (or it has had enough for this turn), says
what it wants with L{Connection.send} and the body methods, and at the end of the turn
writes L{Connection.data_to_send}, everything of that turn at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from subproxy.wire import messages as m
from subproxy.wire.credit import ReceiveWindow
from subproxy.wire.errors import (
    ExchangeError,
    LocalProtocolError,
    MessageError,
    RemoteProtocolError,
    StateError,
    TooLarge,
)
from subproxy.wire.exchange import WireExchange
from subproxy.wire.fields import Headers, Info, credit, integer
from subproxy.wire.frames import FrameDecoder
from subproxy.wire.limits import MAX_CREDIT, MAX_NUMBER, VERSION, Limits
from subproxy.wire.messages import Message, lookup, parse
from subproxy.wire.states import SIDES, Event, Half, Role, Side


@dataclass(frozen=True, slots=True)
class Violation:
    """
    An event: the peer broke a rule that concerns one exchange only.

    The exchange is forgotten, and the peer has been sent C{abort}.
    """

    exchange: int
    reason: str


@dataclass(frozen=True, slots=True)
class Broken:
    """
    An event, the last: the peer broke a rule, and nothing it says can be trusted now.

    The peer has been sent C{bye}; write what is to be written, then close.
    """

    error: RemoteProtocolError


WireEvent = Message | Violation | Broken

_size = integer(0, MAX_CREDIT)
_frame_size = integer(1024, 9_999_999)


def limits_info(limits: Limits) -> dict[bytes, object]:
    """The part of C{hello} and C{welcome} that says what we take."""
    return {
        b"version": VERSION,
        b"frame": limits.frame,
        b"window": limits.window,
        b"inline": limits.inline,
    }


def parse_limits(info: Info) -> Limits:
    """
    What the peer takes, from its C{hello} or C{welcome}.

    @raise MessageError: a value is wrong, or the version is not ours.
    """
    version = lookup(info, b"version", integer(1, MAX_NUMBER), 0)
    if version != VERSION:
        raise MessageError(f"version {version or 'missing'}: this side speaks version {VERSION}")
    default = Limits()
    return Limits(
        frame=lookup(info, b"frame", _frame_size, default.frame),
        window=lookup(info, b"window", credit, default.window),
        inline=lookup(info, b"inline", _size, default.inline),
    )


class Connection:
    """
    The state of one connection.

    @ivar role: who we are.
    @ivar limits: what we take.
    @ivar peer_limits: what the peer takes, once it has greeted.
    @ivar ours: the state of our side.
    @ivar theirs: the state of the peer's side.
    @ivar exchanges: those that are under way, by number.
    @ivar last: the highest exchange number so far.
    """

    def __init__(self, role: Role, limits: Limits | None = None) -> None:
        self.role = role
        self.limits = limits or Limits()
        self.peer_limits = Limits()
        self.ours = Side.IDLE
        self.theirs = Side.IDLE
        self.exchanges: dict[int, WireExchange] = {}
        self.last = 0
        self._decoder = FrameDecoder(self.limits.frame)
        self._our_table = SIDES[role]
        self._their_table = SIDES[role.peer]
        self._out: list[bytes] = []
        self._broken = False

    def __repr__(self) -> str:
        return (
            f"<Connection {self.role.name} ours={self.ours.name} theirs={self.theirs.name}"
            f" exchanges={len(self.exchanges)}>"
        )

    # Receiving.

    def feed(self, data: bytes) -> None:
        """Take bytes that were read."""
        if not self._broken:
            self._decoder.feed(data)

    def next_event(self) -> WireEvent | None:
        """The next thing that happened, or None if more bytes are needed. Never raises."""
        while not self._broken and self.theirs is not Side.DATA:
            try:
                frame = self._decoder.next()
                if frame is None:
                    return None
                message = parse(frame)
                if message is None:
                    if self.theirs is Side.IDLE:
                        raise StateError("the first frame is not one that opens a connection")
                    continue
                if self._came(message):
                    return message
            except ExchangeError as error:
                return self._violated(error.exchange, str(error))
            except RemoteProtocolError as error:
                self._broken = True
                if self.ours is not Side.DONE:
                    self.send(m.Bye(error.code, str(error).encode()[:1024]))
                return Broken(error)
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
        if kind is m.Hello or kind is m.Welcome:
            self.peer_limits = parse_limits(message.info)  # type: ignore[attr-defined]
            return True
        if kind is m.Request:
            assert isinstance(message, m.Request)
            self._request_came(message)
            return True
        if kind not in _OF_EXCHANGE:
            return True
        number: int = message.exchange  # type: ignore[attr-defined]
        exchange = self.exchanges.get(number)
        if exchange is None:
            if number > self.last:
                raise StateError(f"exchange {number} was never begun")
            return False
        return self._exchange_came(exchange, message)

    def _request_came(self, message: m.Request) -> None:
        if message.exchange <= self.last:
            raise StateError(f"exchange {message.exchange} does not follow {self.last}")
        self.last = message.exchange
        expect = bool(message.info.get(b"expect"))
        window = self.limits.window
        exchange = WireExchange(
            self.role,
            message.exchange,
            self.peer_limits.window,
            ReceiveWindow(window, 0 if expect else window),
        )
        exchange.came(_head_event(message.body))
        self.exchanges[message.exchange] = exchange

    def _exchange_came(self, exchange: WireExchange, message: Message) -> bool:
        match message:
            case m.Body():
                exchange.came(Event.BODY)
                if not exchange.receiving.received(len(message.data)):
                    raise ExchangeError(exchange.number, "more body than there was credit for")
            case m.End():
                exchange.came(Event.END)
                self._settle(exchange)
            case m.Credit():
                self._write_pieces(exchange, exchange.sending.granted(message.amount))
            case m.Abort():
                del self.exchanges[exchange.number]
            case m.Response():
                if message.status < 200:
                    exchange.came(Event.INTERIM)
                    if message.body != b"":
                        raise ExchangeError(exchange.number, "an interim response with a body")
                else:
                    exchange.came(_head_event(message.body))
                    self._settle(exchange)
        return True

    def _violated(self, number: int, reason: str) -> Violation:
        if self.exchanges.pop(number, None) is not None and self.ours in _TALKING:
            self._out.append(m.Abort(number, b"protocol", reason.encode()[:1024]).encode())
        return Violation(number, reason)

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
        data = message.encode()
        if len(data) > self.peer_limits.frame:
            raise TooLarge(
                f"a frame of {len(data)} bytes, where {self.peer_limits.frame} are taken"
            )
        match message:
            case m.Request():
                self._request_sent(message)
            case m.Response():
                exchange = self._exchange(message.exchange)
                interim = message.status < 200
                exchange.sent(Event.INTERIM if interim else _head_event(message.body))
                self._settle(exchange)
            case m.Body() | m.End() | m.Credit():
                raise LocalProtocolError("use write_body, end_body and consumed")
            case m.Abort():
                self.exchanges.pop(message.exchange, None)
        self.ours = after
        self._out.append(data)

    def _request_sent(self, message: m.Request) -> None:
        if message.exchange <= self.last:
            raise LocalProtocolError("exchange numbers grow")
        self.last = message.exchange
        expect = bool(message.info.get(b"expect"))
        exchange = WireExchange(
            self.role,
            message.exchange,
            0 if expect else self.peer_limits.window,
            ReceiveWindow(self.limits.window),
        )
        exchange.sent(_head_event(message.body))
        self.exchanges[message.exchange] = exchange

    def write_body(self, number: int, data: bytes) -> int:
        """
        Send C{data} as far as there is credit; the rest waits for it.

        @return: how many bytes wait now: a caller should pause unless it is 0.
        @raise LocalProtocolError: the exchange has no streamed body of ours under way.
        """
        exchange = self._exchange(number)
        if exchange.ours is not Half.STREAMING or exchange.trailers is not None:
            raise LocalProtocolError(f"exchange {number}: no body when {exchange.ours.name}")
        self._write_pieces(exchange, exchange.sending.write(data))
        return exchange.sending.pending

    def end_body(self, number: int, trailers: Headers | None = None) -> None:
        """
        End our streamed body, when all that waits has gone.

        @raise LocalProtocolError: the exchange has no streamed body of ours under way.
        """
        exchange = self._exchange(number)
        if exchange.ours is not Half.STREAMING or exchange.trailers is not None:
            raise LocalProtocolError(f"exchange {number}: no end when {exchange.ours.name}")
        exchange.trailers = trailers or []
        self._write_pieces(exchange, [])

    def _write_pieces(self, exchange: WireExchange, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._out.append(m.Body(exchange.number, piece).encode())
        if exchange.trailers is not None and not exchange.sending.pending:
            self._out.append(m.End(exchange.number, exchange.trailers).encode())
            exchange.trailers = None
            exchange.sent(Event.END)
            self._settle(exchange)

    def consumed(self, number: int, amount: int) -> None:
        """C{amount} bytes of the peer's body are out of our hands: grant credit when it is time."""
        exchange = self.exchanges.get(number)
        if exchange is None or exchange.theirs is not Half.STREAMING:
            return
        grant = exchange.receiving.consumed(amount)
        if grant and self.ours in _TALKING:
            self._out.append(m.Credit(number, grant).encode())

    def pending(self, number: int) -> int:
        """How many bytes of our body wait for credit."""
        exchange = self.exchanges.get(number)
        return 0 if exchange is None else exchange.sending.pending

    def data_to_send(self) -> bytes:
        """The bytes of everything said since the last call."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def _exchange(self, number: int) -> WireExchange:
        try:
            return self.exchanges[number]
        except KeyError:
            raise LocalProtocolError(f"exchange {number} is not under way") from None

    def _settle(self, exchange: WireExchange) -> None:
        """
        Forget an exchange whose response is complete.

        A request body of which the response did not want the rest is of no use any more:
        frames that are still under way for it are ignored.
        """
        response = exchange.theirs if self.role is Role.PROXY else exchange.ours
        if response is Half.DONE:
            self.exchanges.pop(exchange.number, None)


_TALKING = frozenset({Side.OPEN, Side.DRAINING})
_OF_EXCHANGE = frozenset({m.Response, m.Body, m.End, m.Credit, m.Abort, m.Connect})


def _head_event(body: bytes | Info | None) -> Event:
    if type(body) is bytes:
        return Event.WHOLE
    return Event.STREAM if body is None else Event.BULK
