"""What is behind a compiled connection of HTTP/2: the rules, and what is not plain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from subproxy.core.exchange import Exchange
from subproxy.core.http.forwarded import Peer
from subproxy.core.http.request import Headers
from subproxy.core.sites.site_request import SiteRequest
from subproxy.fastpath.fallback import sent_request
from subproxy.fastpath.http2_sender import FastHttp2Sender
from subproxy.fastpath.interfaces import FallsBackAlone, FrontOfHttp2, GatheredBody
from subproxy.frontend.context import FrontendContext
from subproxy.frontend.http2.bounds import head_cost
from subproxy.frontend.http2.connection import Http2Connection
from subproxy.frontend.http2.ending import Ending
from subproxy.frontend.http2.events import BodyCame, RequestCame
from subproxy.frontend.http2.flood import FloodGuard
from subproxy.frontend.http2.frames import ErrorCode, Frame, Http2Error
from subproxy.frontend.http2.hpack import IFieldDecoder
from subproxy.frontend.http2.priority import urgency_of
from subproxy.frontend.http2.protocol import Http2Protocol
from subproxy.frontend.http2.served_request import ServedRequest
from subproxy.frontend.open_connections import OpenConnection
from subproxy.subscription.turn_budget import TurnBudget
from subproxy.telemetry.close_reason import CloseReason


class FastHttp2Protocol(Http2Protocol):
    """
    Has the rules, and every stream that is not plain, behind a L{FastHttp2Connection}.

    What it is told of a read stands between L{turn_begins} and L{turn_ends}.

    @ivar front: what is before it, and writes for it.
    """

    def __init__(
        self,
        context: FrontendContext,
        connection: Http2Connection,
        guard: FloodGuard,
        front: FrontOfHttp2,
    ) -> None:
        super().__init__(context, connection, guard)
        self.front = front

    @classmethod
    def behind(cls, front: FrontOfHttp2, decoder: IFieldDecoder) -> FastHttp2Protocol:
        """What is behind C{front}, which reads fields by C{decoder}."""
        context = front.factory.context
        guard = FloodGuard(context.floods)
        limits = context.limits
        connection = Http2Connection(
            decoder,
            front.counts,
            guard,
            limits.head,
            limits.fields,
            FastHttp2Sender(front.counts),
        )
        return cls(context, connection, guard, front)

    def take_over(self, before: OpenConnection, transport: Any, peer: Peer) -> None:
        """Serve the connection that was served by C{before}, to which C{transport} speaks."""
        self.transport = transport
        self.peer = peer
        self.context.connections.replaced(before, self)
        self.begin()

    # What came.

    def turn_begins(self) -> None:
        """Some of a read is for us."""
        self._turns.depth += 1

    def turn_ends(self) -> None:
        """That was all of the read."""
        self._begin_bodies(self.context.monotonic())
        self._turns.depth -= 1
        self.turn_over()

    def rest(self, turns: TurnBudget) -> None:
        """The front has had its share of a turn: it goes on when those have who rest already."""
        self.pause_reading()
        turns.exhausted()  # which has it look, if nobody rests yet
        turns.defer(self.front.go_on)

    def frame_came(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """A frame came that is not plain."""
        now = self.context.monotonic()
        try:
            event = self.connection.receive(Frame(kind, flags, number, payload), now)
            if event is not None:
                self.handle(event, now)
        except Http2Error as error:
            self.fail_connection(error)

    def fields_came(self, number: int, fields: Headers | None, ended: bool) -> None:
        """The fields of a request that is not plain came."""
        now = self.context.monotonic()
        try:
            event = self.connection.fields_came(number, fields, ended, False, now)
            if event is not None:
                self.handle(event, now)
        except Http2Error as error:
            self.fail_connection(error)

    def fields_malformed(self) -> None:
        """A block of fields is none."""
        self.fail_connection(
            Http2Error(ErrorCode.COMPRESSION_ERROR, "a block of fields is malformed")
        )

    def too_large(self) -> None:
        """A frame is larger than any may be."""
        self.fail_connection(Http2Error(ErrorCode.FRAME_SIZE_ERROR, "a frame is too large"))

    def no_preface(self) -> None:
        """What began like the preface of HTTP/2 went on in another way."""
        self.fail_connection(
            Http2Error(ErrorCode.PROTOCOL_ERROR, "this is not the preface of HTTP/2")
        )

    def turn_ended(self) -> None:
        """The turn of the reactor ends: what waits is written now."""
        if self._flush_called:
            self.flush_called()

    def adopt(self, fast: FallsBackAlone) -> None:
        """Go on with the request of C{fast}, which a guest has."""
        context = self.context
        head = sent_request(fast.frame, context.rules, fast.asked.trace)
        stream = self.connection.adopt(fast.number, fast.room, head_cost(head.headers))
        rules = fast.asked.rules
        served = ServedRequest(self, stream, head, fast.started, rules)
        client_stream = served.client_stream
        head.length = fast.asked.received
        stream.urgency = urgency_of(head.headers)
        exchange = Exchange(head, fast.asked.body, client_stream, context.dispatcher)
        if rules is not None:
            exchange.site = SiteRequest(rules, head)
        exchange.pool = fast.asked.pool
        exchange.holder = fast.member
        exchange.given = fast.given
        fast.channel.channel.adopt(exchange, fast.asked.number)
        client_stream.exchange = exchange
        served.due = fast.started + client_stream.response_timeout
        self.served[fast.number] = served

    def adopt_gathered(self, fast: GatheredBody) -> None:
        """Go on with the request of C{fast}, whose body was gathered so far."""
        body, started = fast.body, fast.started
        fields = self._fields_of(fast.text)
        stream = self.connection.adopt(
            fast.number, fast.room, head_cost(fields), len(body), fast.whole
        )
        stream.urgency = urgency_of(fields)
        try:
            now = self.context.monotonic()
            self.handle(RequestCame(stream, fields, False), now)
            served = self.served.get(fast.number)
            if served is not None:
                served.client_stream.started = served.body_since = started
            if body or fast.whole:
                self.handle(BodyCame(stream, body, fast.whole, []), now)
        except Http2Error as error:
            self.fail_connection(error)
            return
        if not self._turns.depth:
            self._begin_bodies(started)
            self.wrote()

    def _fields_of(self, text: bytes) -> Headers:
        """The fields of which C{text} was made (L{subproxy.fastpath._http2_head})."""
        line, *fields = text[:-4].split(b"\r\n")
        method, path, _ = line.split(b" ")
        pairs = [field.split(b": ", 1) for field in fields]
        peer = self.peer
        assert peer is not None
        return [
            (b":method", method),
            (b":path", path),
            (b":scheme", peer.scheme),
            (b":authority", pairs[0][1]),
            *((name, value) for name, value in pairs[1:]),
        ]

    # What goes.

    def writeSequence(self, pieces: Sequence[bytes]) -> None:
        """Write to the client, with all else that the turn has to say."""
        self.front.put(pieces)

    def call_flush(self) -> None:
        """Have L{turn_ended} called before the reactor sleeps."""
        self.front.call_turn_end()

    def pauseProducing(self) -> None:
        """The client does not take what is written."""
        self.front.writable = False
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """All that was written has left."""
        self.front.writable = True
        super().resumeProducing()

    # Time passes, and the connection ends.

    def _look_ahead(self) -> None:
        """Have the sweeper look when the deadline passes; at every sweep while requests are."""
        super()._look_ahead()
        if self.front.waiting:
            self.deadline = 0.0

    def deadline_passed(self, now: float) -> bool:
        """The sweeper looks: who took too long? True if there may be more of them."""
        if self.front.look(now) and self.ending is Ending.STAYS and not self._head_waits:
            # It was asked something that we do not know of: it is not idle.
            self.due = now + self.context.limits.keepalive_timeout
        return super().deadline_passed(now)

    def close(self, reason: CloseReason) -> None:
        """Close, behind what was written before."""
        self.front.flush_now()
        self._cancel_all()
        self.front.lost()
        super().close(reason)

    def _cancel_all(self) -> None:
        self.front.give_up_all()
        super()._cancel_all()

    def connectionLost(self, reason: Any) -> None:  # type: ignore[override]
        """The client is gone, or was sent away."""
        self._cancel_all()
        self.front.lost()
        super().connectionLost(reason)
