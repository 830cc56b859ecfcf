"""
The exchanges of one subscription: numbered, framed, and given their answers.

Between L{subproxy.core.exchange}, which knows no wire, and L{subproxy.wire.connection},
which knows no HTTP. What becomes of an exchange whose guest failed is the dispatcher's decision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from zope.interface import implementer

from subproxy.core.exchange import Exchange, State
from subproxy.errors import (
    ClientError,
    ClientGone,
    GuestError,
    GuestGone,
    GuestMisbehaved,
    GuestRefused,
    GuestSlow,
    ProxyError,
)
from subproxy.interfaces import IChannel, IRequestCarrier
from subproxy.wire import messages as m
from subproxy.wire.connection import Connection, Violation
from subproxy.wire.errors import TooLarge
from subproxy.wire.fields import Headers, Info
from subproxy.wire.states import Side

if TYPE_CHECKING:
    from subproxy.core.dispatcher import Dispatcher
    from subproxy.core.member import Member
    from subproxy.fastpath._channel import FastChannel

ABORT_CODES: tuple[tuple[type[ProxyError], bytes], ...] = (
    (ClientGone, b"client"),
    (GuestSlow, b"timeout"),
    (GuestMisbehaved, b"protocol"),
)
"""What C{abort} tells a guest, by the error that ended its exchange; otherwise C{error}."""


def request_headers(exchange: Exchange) -> Headers:
    """The header section of a request frame: the length of the body is in it, if it is known."""
    request = exchange.request
    if not request.length:
        return request.headers
    return [*request.headers, (b"Content-Length", b"%d" % request.length)]


def request_info(exchange: Exchange) -> Info:
    """The C{info} of a request frame."""
    request = exchange.request
    info: Info = {
        b"client": request.client,
        b"scheme": request.scheme,
        b"version": request.version,
        b"id": request.request_id,
    }
    if request.expect and exchange.body is None:
        info[b"expect"] = True
    return info


@implementer(IRequestCarrier)
class Carrier:
    """One exchange on one channel."""

    __slots__ = ("channel", "exchange", "number")

    def __init__(self, channel: Channel, number: int, exchange: Exchange) -> None:
        self.channel = channel
        self.number = number
        self.exchange = exchange

    def sendBody(self, data: bytes) -> None:
        """See L{IRequestCarrier}."""
        channel = self.channel
        if channel.wire.write_body(self.number, data) or channel.congested:
            self.exchange.pause_request()
        channel.flush()

    def endBody(self, trailers: Headers) -> None:
        """See L{IRequestCarrier}."""
        self.channel.wire.end_body(self.number, trailers)
        self.channel.flush()

    def cancel(self, error: ProxyError) -> None:
        """See L{IRequestCarrier}."""
        code = next((code for kind, code in ABORT_CODES if isinstance(error, kind)), b"error")
        self.channel.forget(self, code, str(error).encode("utf-8", "replace"))

    def consumed(self, amount: int) -> None:
        """See L{IRequestCarrier}."""
        self.channel.wire.consumed(self.number, amount)
        self.channel.flush()


@implementer(IChannel)
class Channel:
    """
    The exchanges of one subscription.

    @ivar wire: the protocol state of its connection.
    @ivar congested: the guest does not read what we send: no streamed request bodies now.
    @ivar fast: the exchanges that the compiled path has, if there is one.
    """

    def __init__(
        self,
        wire: Connection,
        member: Member,
        dispatcher: Dispatcher,
        flush: Callable[[], None],
        offended: Callable[[str], None],
    ) -> None:
        self.wire = wire
        self.member = member
        self.identity = member.identity
        self.congested = False
        self.fast: FastChannel | None = None
        self.flush = flush
        self._dispatcher = dispatcher
        self._offended = offended
        self._carriers: dict[int, Carrier] = {}

    def __repr__(self) -> str:
        return f"<Channel {self.identity} exchanges={len(self._carriers)}>"

    def __len__(self) -> int:
        return len(self._carriers) + (0 if self.fast is None else self.fast.count)

    # What the dispatcher and the exchanges call.

    def send(self, exchange: Exchange) -> None:
        """See L{IChannel}."""
        number = self.wire.last + 1
        request, body = exchange.request, exchange.body
        inline = body is not None and len(body) <= self.wire.peer_limits.inline
        frame = m.Request(
            number,
            request.method,
            request.target,
            request_headers(exchange),
            request_info(exchange),
            body if inline else None,
        )
        try:
            self.wire.send(frame)
        except TooLarge as error:
            if not inline or not body:
                exchange.fail(ClientError(f"the application cannot take it: {error}", 431))
                return
            inline, frame.body = False, None
            self.wire.send(frame)
        carrier = Carrier(self, number, exchange)
        self._carriers[number] = carrier
        exchange.taken(self.member, carrier)
        if body is None:
            self._resume(carrier)
        elif not inline:
            self.wire.write_body(number, body)
            self.wire.end_body(number)
        self.flush()

    def adopt(self, exchange: Exchange, number: int) -> None:
        """C{exchange} was sent under C{number} by the compiled path, and is ours from now on."""
        self.wire.adopt(number)
        carrier = self._carriers[number] = Carrier(self, number, exchange)
        exchange.taken(self.member, carrier)

    def disown(self, number: int) -> None:
        """The answer to C{number} has come, by the compiled path."""
        del self._carriers[number]
        del self.wire.exchanges[number]

    def forget(self, carrier: Carrier, code: bytes, reason: bytes) -> None:
        """Tell the guest that C{carrier}'s exchange is over, if it does not know."""
        if self._carriers.pop(carrier.number, None) is not None:
            self._abort(carrier.number, code, reason)

    def _abort(self, number: int, code: bytes, reason: bytes) -> None:
        wire = self.wire
        if number in wire.exchanges and wire.ours in (Side.OPEN, Side.DRAINING):
            wire.send(m.Abort(number, code, reason[:1024]))
            self.flush()

    # What the guest says.

    def response(self, message: m.Response) -> None:
        """A response head, interim or final, perhaps with its body."""
        carrier = self._carriers.get(message.exchange)
        if carrier is None:
            return
        exchange, number = carrier.exchange, carrier.number
        try:
            if message.status < 200:
                exchange.response_interim(message.status, message.headers)
                return
            reason = message.info.get(b"reason", b"")
            if type(reason) is not bytes:
                raise GuestMisbehaved("the reason phrase is not a byte string")
            body = message.body
            if isinstance(body, dict):
                raise GuestMisbehaved("a body over a data connection was not offered")
            if type(body) is bytes:
                # Gone before the frontend hears of it: it may begin its next exchange at once.
                del self._carriers[number]
            exchange.response_start(message.status, reason, message.headers, body)
        except GuestMisbehaved as error:
            self._misbehaved(carrier, error)
            return
        if exchange.state is State.DONE and self._carriers.pop(number, None) is not None:
            self._abort(number, b"complete", b"a body is not wanted here")

    def body(self, message: m.Body) -> None:
        """A piece of a streamed response body."""
        carrier = self._carriers.get(message.exchange)
        if carrier is not None:
            try:
                carrier.exchange.response_data(message.data)
            except GuestMisbehaved as error:
                self._misbehaved(carrier, error)

    def end(self, message: m.End) -> None:
        """The end of a streamed response body."""
        carrier = self._carriers.pop(message.exchange, None)
        if carrier is not None:
            try:
                carrier.exchange.response_end(message.trailers)
            except GuestMisbehaved as error:
                self._misbehaved(carrier, error)

    def credit(self, message: m.Credit) -> None:
        """The guest takes more of a request body."""
        carrier = self._carriers.get(message.exchange)
        if carrier is not None:
            self._resume(carrier)

    def abort(self, message: m.Abort) -> None:
        """The guest gives an exchange up."""
        carrier = self._carriers.pop(message.exchange, None)
        if carrier is not None:
            said = message.reason.decode("utf-8", "replace")
            error: GuestError
            if message.code == b"refused":
                error = GuestRefused(f"the application refused: {said}" if said else "")
            else:
                error = GuestGone(f"the application gave up: {said}" if said else "")
            self._lost(carrier, error)

    def violation(self, event: Violation) -> None:
        """The guest broke a rule of the wire in one exchange, which the wire has forgotten."""
        carrier = self._carriers.get(event.exchange)
        if carrier is not None:
            self._misbehaved(carrier, GuestMisbehaved(event.reason))
        else:
            self._offended(event.reason)

    # What happens to the connection.

    def pause(self) -> None:
        """The guest does not read: hold streamed request bodies."""
        self.congested = True
        for carrier in list(self._carriers.values()):
            if carrier.exchange.body is None:
                carrier.exchange.pause_request()

    def resume(self) -> None:
        """The guest reads again."""
        self.congested = False
        for carrier in list(self._carriers.values()):
            self._resume(carrier)

    def lost(self, error: GuestError) -> None:
        """The subscription is gone: so is every exchange that it had."""
        carriers, self._carriers = self._carriers, {}
        for carrier in carriers.values():
            self._lost(carrier, error)

    def move_safe(self, error: GuestError) -> None:
        """The guest is silent: take back what may be given to another, and only that."""
        if self.fast is not None:
            self.fast.surrender()
        for number, carrier in list(self._carriers.items()):
            if self._dispatcher.may_move(carrier.exchange, error):
                del self._carriers[number]
                self._abort(number, b"timeout", b"no pong")
                self._lost(carrier, error)

    def _resume(self, carrier: Carrier) -> None:
        exchange = carrier.exchange
        wire = self.wire.exchanges.get(carrier.number)
        if exchange.body is not None or wire is None or self.congested:
            return
        if wire.sending.available and not wire.sending.pending:
            exchange.resume_request()

    def _lost(self, carrier: Carrier, error: GuestError) -> None:
        carrier.exchange.carrier = None
        self._dispatcher.lost(carrier.exchange, error)

    def _misbehaved(self, carrier: Carrier, error: GuestMisbehaved) -> None:
        self._carriers.pop(carrier.number, None)
        self._abort(carrier.number, b"protocol", str(error).encode("utf-8", "replace"))
        carrier.exchange.carrier = None
        carrier.exchange.fail(error)
        self._offended(str(error))
