"""
The exchanges of one subscription: numbered, framed, and given their answers.

Between L{subproxy.core.exchange}, which knows no wire, and L{subproxy.wire.connection},
which knows no HTTP. What becomes of an exchange whose guest failed is the dispatcher's decision.

Compiled a second time: L{subproxy.fastpath._tunnel_channel} and
L{subproxy.fastpath._answer_channel} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from zope.interface import implementer

from subproxy.core.balancing.member import Member
from subproxy.core.body_transport import BodyLimits, BodyTransport, announced, choose
from subproxy.core.exchange import Exchange, ExchangeState, IChannel
from subproxy.core.http.upgrade import Upgrade
from subproxy.errors import (
    ClientError,
    GuestFailure,
    GuestMisbehaved,
    ProxyError,
)
from subproxy.subscription.bodies.response_transfer import ResponseTransfer
from subproxy.subscription.bodies.transfer import RequestTransfer
from subproxy.subscription.context import GuestContext
from subproxy.subscription.interfaces import ChannelConnection, Handlers, NumberedExchange
from subproxy.subscription.request_frame import request_headers, request_info, shorten
from subproxy.subscription.tunnel_request import TunnelRequest
from subproxy.subscription.upstream_request import AHEAD, UpstreamRequest, abort_error
from subproxy.wire import messages as m
from subproxy.wire.connection import Violation
from subproxy.wire.errors import TooLarge
from subproxy.wire.fields import Headers, Info
from subproxy.wire.states import Side


@implementer(IChannel)
class Channel:
    """
    The exchanges of one subscription.

    @ivar wire: the protocol state of its connection.
    @ivar ahead: so many responses more, or the next that goes over a data connection, until no
        request has a token for that: see L{AHEAD}.
    @ivar congested: the guest does not read what we send: no streamed request bodies now.
    @ivar flush: write what was said, unless a turn is under way.
    @ivar emptied: told when the last exchange is over, if somebody wants to know.
    """

    __slots__ = (
        "_body_limits",
        "_bulk",
        "_carriers",
        "_connection",
        "_context",
        "_dispatcher",
        "ahead",
        "congested",
        "emptied",
        "flush",
        "identity",
        "member",
        "wire",
    )

    def __init__(
        self,
        connection: ChannelConnection,
        member: Member,
        context: GuestContext,
    ) -> None:
        self.wire, self.member, self.identity = connection.wire, member, member.identity
        self.congested = False
        self.ahead = 0
        self.emptied: Callable[[], None] | None = None
        self.flush = connection.flush
        self._connection = connection
        self._context = context
        self._dispatcher = context.dispatcher
        self._bulk = context.settings.bulk or 0
        self._body_limits: BodyLimits | None = None
        self._carriers: dict[int, UpstreamRequest] = {}

    def __repr__(self) -> str:
        return f"<Channel {self.identity} exchanges={len(self._carriers)}>"

    def __len__(self) -> int:
        return len(self._carriers)

    @property
    def tunnels(self) -> int:
        """See L{IChannel}."""
        return sum(isinstance(each, TunnelRequest) for each in self._carriers.values())

    # What the dispatcher and the exchanges call.

    def send(self, exchange: Exchange) -> None:
        """See L{IChannel}."""
        number = self.next_number()
        request, body = exchange.forwarded, exchange.body
        if request.upgrade is not None and self._ask_for_tunnel(number, exchange, request.upgrade):
            return
        transport = choose(None if body is None else len(body), request.length, self._limits())
        carrier = UpstreamRequest(self, number, exchange)
        if transport is BodyTransport.DATA_CONNECTION:
            carrier.upload = RequestTransfer(carrier, self._context)
        info = request_info(exchange, self.member)
        if self.ahead and request.method == b"GET" and body == b"":
            carrier.ahead = ResponseTransfer(carrier, self._context, None, headed=False)
            info[b"ahead"] = carrier.ahead.token
        frame = m.Request(
            number,
            request.method,
            request.target,
            request_headers(exchange),
            info,
            body if transport is BodyTransport.INLINE else self._promised(carrier),
        )
        try:
            try:
                self._say(frame)
            except TooLarge:
                if transport is not BodyTransport.INLINE or not body:
                    raise
                # Head and body are together more than the peer takes: apart they may go.
                transport, frame.body = BodyTransport.FRAMES, None
                self._say(frame)
        except TooLarge as error:
            self._refuse(carrier, error)
            return
        carrier.request_sent(info)
        self._carriers[number] = carrier
        exchange.taken(self.member, carrier)
        if body is None:
            self._resume(carrier)
        elif transport is BodyTransport.FRAMES:
            self.wire.write_body(number, body)
            self.wire.end_body(number)
        self.flush()

    def _ask_for_tunnel(self, number: int, exchange: Exchange, upgrade: Upgrade) -> bool:
        """Send a request for a tunnel, if there may be one here: whether it was dealt with."""
        identity, tunnels, request = self.identity, self._context.tunnels, exchange.forwarded
        try:
            tunnel = tunnels.agreed(identity, self.wire.tunnels, upgrade)
            if tunnel is None:
                return False
            tunnels.opened(identity)
        except ProxyError as error:
            exchange.fail(error)
            return True
        info = {**request_info(exchange, self.member), b"tunnel": tunnel}
        frame = m.Request(number, request.method, request.target, request.headers, info, None)
        carrier = TunnelRequest(self, number, exchange, tunnel, self._context)
        try:
            self._say(frame)
        except TooLarge as error:
            self._refuse(carrier, error)
            return True
        self._carriers[number] = carrier
        exchange.taken(self.member, carrier)
        self.flush()
        return True

    def _refuse(self, carrier: UpstreamRequest, error: TooLarge) -> None:
        """The head of a request is longer than the guest takes."""
        carrier.release()
        carrier.exchange.fail(ClientError(f"the application cannot take it: {error}", 431))

    def _limits(self) -> BodyLimits:
        """What decides how a body goes to this guest; known since it greeted."""
        limits = self._body_limits
        if limits is None:
            wire = self.wire
            limits = BodyLimits(wire.peer_limits.inline, self._bulk if wire.bulk else 0)
            self._body_limits = limits
        return limits

    @staticmethod
    def _promised(carrier: UpstreamRequest) -> Info | None:
        """What a request says of a body that is not in it."""
        if carrier.upload is None:
            return None
        return {b"token": carrier.upload.token, b"length": carrier.exchange.request.length}

    # What a channel that shares its numbers does otherwise (subproxy.fastpath).

    def next_number(self) -> int:
        """The number of the next exchange."""
        return self.wire.last + 1

    def _say(self, request: m.Request) -> None:
        """
        Send a request; its number is taken then.

        @raise TooLarge: its frame is longer than the guest takes.
        """
        while True:
            try:
                self.wire.send(request)
                return
            except TooLarge:
                if not shorten(request.info):
                    raise

    def _take_over(self) -> list[int]:
        """Take over a few exchanges that somebody else has; returns their numbers."""
        return []

    def forget(self, carrier: NumberedExchange, code: bytes, reason: bytes) -> None:
        """Tell the guest that C{carrier}'s exchange is over, if it does not know."""
        if self._take(carrier.number) is not None:
            self._abort(carrier.number, code, reason)

    def _take(self, number: int) -> UpstreamRequest | None:
        """Take an exchange out, with its data connections."""
        carrier = self._carriers.pop(number, None)
        if carrier is not None:
            carrier.release()
            self._look_whether_empty()
        return carrier

    def _look_whether_empty(self) -> None:
        if self.emptied is not None and not len(self):
            self.emptied()

    def leave(self, carrier: NumberedExchange) -> None:
        """Both halves of a tunnel have ended."""
        self._take(carrier.number)

    def _abort(self, number: int, code: bytes, reason: bytes) -> None:
        wire = self.wire
        if number in wire.exchanges and wire.ours in (Side.OPEN, Side.DRAINING):
            wire.send(m.Abort(number, code, reason[:1024]))
            self.flush()

    # What the guest says.

    def handlers(self) -> Handlers:
        """What is done with what the guest says of exchanges."""
        return {
            m.Response: self.response,
            m.Body: self.body,
            m.End: self.end,
            m.Move: self.move,
            m.Credit: self.credit,
            m.Abort: self.abort,
            Violation: self.violation,
        }

    def response(self, message: m.Response) -> None:
        """A response head, interim or final, perhaps with its body."""
        carrier = self._carriers.get(message.exchange)
        if carrier is None:
            return
        exchange, number = carrier.exchange, carrier.number
        try:
            if message.status < 200:
                self._wait_for_client(
                    carrier, exchange.response_interim(message.status, message.headers)
                )
                return
            reason = message.info.get(b"reason", b"")
            if type(reason) is not bytes:
                raise GuestMisbehaved("the reason phrase is not a byte string")
            transport, body, length = announced(message.body)
            if isinstance(carrier, TunnelRequest) and carrier.accepted(message):
                return
            self._answered_over(transport)
            begun = carrier.begins_ahead(message.body)
            if transport is BodyTransport.INLINE:
                # Gone before the frontend hears of it: it may begin its next exchange at once.
                self._take(number)
            large = transport is BodyTransport.DATA_CONNECTION
            exchange.response_start(
                message.status, reason, message.headers, body, length, large=large
            )
        except GuestMisbehaved as error:
            self.misbehaved(carrier, error)
            return
        if exchange.state is ExchangeState.DONE:
            if self._take(number) is not None:
                self._abort(number, b"complete", b"a body is not wanted here")
        elif self._carriers.get(number) is not carrier:
            return
        elif begun and carrier.download is not None and length is not None:
            carrier.download.begin(length)
        elif transport is BodyTransport.DATA_CONNECTION:
            carrier.download = ResponseTransfer(carrier, self._context, length)
            self.wire.send(m.Connect(number, carrier.download.token))

    def _answered_over(self, transport: BodyTransport) -> None:
        """A response goes so: what is to be expected of the next ones."""
        if transport is BodyTransport.DATA_CONNECTION:
            self.ahead = AHEAD if self.wire.ahead else 0
        elif self.ahead:
            self.ahead -= 1

    def _wait_for_client(self, carrier: UpstreamRequest, size: int) -> None:
        """
        So many bytes of an interim response wait for the client, which does not take them.

        @raise GuestMisbehaved: its guest makes us hold more than it may.
        """
        if size:
            part = carrier.held
            if part is None:
                part = carrier.held = self._connection.part()
            part.add(size)
            if self._connection.overdrawn():
                raise GuestMisbehaved("more interim responses than the client takes")

    def body(self, message: m.Body) -> None:
        """A piece of a streamed response body."""
        carrier = self._carriers.get(message.exchange)
        if carrier is not None:
            download = carrier.download
            if download is not None:
                if not download.frames():
                    error = GuestMisbehaved("a body in frames, and over a data connection")
                    self.misbehaved(carrier, error)
                    return
                carrier.download = None
            try:
                carrier.exchange.response_data(message.data)
            except GuestMisbehaved as error:
                self.misbehaved(carrier, error)
            if isinstance(carrier, TunnelRequest):
                carrier.passed(len(message.data))

    def move(self, message: m.Move) -> None:
        """The guest's half of a tunnel goes on over its data connection."""
        carrier = self._carriers.get(message.exchange)
        if isinstance(carrier, TunnelRequest):
            carrier.moved(message)

    def end(self, message: m.End) -> None:
        """The end of a streamed response body."""
        carrier = self._carriers.get(message.exchange)
        if carrier is None:
            return
        if carrier.download is not None:
            carrier.download.ended(message)
        elif isinstance(carrier, TunnelRequest) and carrier.exchange.tunnel is not None:
            carrier.ended(message)
        else:
            self.complete(carrier, message.trailers)

    def complete(self, carrier: NumberedExchange, trailers: Headers) -> None:
        """All of a response body has come, and its end."""
        self._take(carrier.number)
        try:
            carrier.exchange.response_end(trailers)
        except GuestMisbehaved as error:
            self.misbehaved(carrier, error)

    def credit(self, message: m.Credit) -> None:
        """The guest takes more of a request body."""
        carrier = self._carriers.get(message.exchange)
        if carrier is None or not carrier.goes_in_frames():
            return
        self._resume(carrier)
        if isinstance(carrier, TunnelRequest):
            carrier.settle()

    def abort(self, message: m.Abort) -> None:
        """The guest gives an exchange up."""
        carrier = self._take(message.exchange)
        if carrier is not None:
            self._lost(carrier, abort_error(message.code, message.reason))

    def violation(self, event: Violation) -> None:
        """The guest broke a rule of the wire in one exchange: the wire has told it, and forgot."""
        carrier = self._carriers.get(event.exchange)
        if carrier is not None:
            self._blame(carrier, GuestMisbehaved(event.reason))
        else:
            self._connection.invalid(event.reason)

    # What happens to the connection.

    def pause(self) -> None:
        """The guest does not read: hold streamed request bodies."""
        self.congested = True
        for carrier in list(self._carriers.values()):
            if carrier.streams:
                carrier.exchange.pause_request()

    def resume(self) -> None:
        """The guest reads again."""
        self.congested = False
        for carrier in list(self._carriers.values()):
            self._resume(carrier)

    def lost(self, error: GuestFailure) -> None:
        """
        The subscription is gone: so is every exchange that it had.

        But for those of which all has been said: what is still on its way on a data connection
        is their body, which the end of this one has overtaken. A thousand of them take tens of
        milliseconds: a share of each turn of the reactor.
        """
        self.emptied = None
        outliving: dict[int, UpstreamRequest] = {}
        share = self._connection.share
        until = share.timer() + share.most
        while True:
            while self._carriers:
                number = next(iter(self._carriers))
                carrier = self._carriers.pop(number)
                if carrier.download is not None and carrier.download.outlive():
                    outliving[number] = carrier
                    continue
                carrier.release()
                self._lost(carrier, error)
                if share.timer() >= until and len(self):
                    self._carriers.update(outliving)
                    self._context.clock.callLater(0, self.lost, error)
                    return
            if not self._take_over():
                break
        self._carriers = outliving

    def broke(self, carrier: NumberedExchange, error: GuestFailure) -> None:
        """The data connection of an exchange failed, and so does that."""
        if self._take(carrier.number) is not None:
            self._abort(carrier.number, b"error", str(error).encode("utf-8", "replace"))
            self._lost(carrier, error)

    def move_safe(self, error: GuestFailure, code: bytes, *, replaced: bool = False) -> None:
        """
        Take back what is given to another guest, and only that.

        Of many in a share of each turn of the reactor, as in L{lost}.

        @param error: why.
        @param code: what C{abort} tells the guest.
        @param replaced: another is about to register what it served.
        """
        self._move(deque(self._carriers), error, code, replaced)

    def _move(self, numbers: deque[int], error: GuestFailure, code: bytes, replaced: bool) -> None:
        """Take back what may be, of C{numbers} and of all that the compiled path has."""
        share = self._connection.share
        until = share.timer() + share.most
        while True:
            while numbers:
                number = numbers.popleft()
                # To move one may end others.
                carrier = self._carriers.get(number)
                if carrier is not None and self._dispatcher.may_take(
                    carrier.exchange, error, replaced=replaced
                ):
                    self._take(number)
                    self._abort(number, code, str(error).encode("utf-8", "replace"))
                    carrier.exchange.carrier = None
                    self._dispatcher.move(carrier.exchange)
                if share.timer() >= until:
                    self._context.clock.callLater(0, self._move, numbers, error, code, replaced)
                    return
            more = self._take_over()
            if not more:
                break
            numbers.extend(more)
        # The last may have been answered between two turns, by who had it.
        self._look_whether_empty()

    def _resume(self, carrier: UpstreamRequest) -> None:
        exchange = carrier.exchange
        wire = self.wire.exchanges.get(carrier.number)
        if not carrier.streams or wire is None or self.congested:
            return
        if wire.sending.available and not wire.sending.pending:
            exchange.resume_request()

    def _lost(self, carrier: NumberedExchange, error: GuestFailure) -> None:
        carrier.exchange.carrier = None
        self._dispatcher.lost(carrier.exchange, error)

    def misbehaved(self, carrier: NumberedExchange, error: GuestMisbehaved) -> None:
        """The guest broke a rule in an exchange: tell it so, even if it was done with that."""
        self.wire.reject(carrier.number, str(error).encode("utf-8", "replace"))
        self._blame(carrier, error)
        self.flush()

    def _blame(self, carrier: NumberedExchange, error: GuestMisbehaved) -> None:
        """Fail an exchange because of what the guest did, and count that against it."""
        self._take(carrier.number)
        carrier.exchange.carrier = None
        carrier.exchange.fail(error)
        self._connection.invalid(str(error))
