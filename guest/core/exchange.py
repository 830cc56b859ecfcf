"""
One request being answered on one connection. Imports no framework.

It holds no state of its own about how far the answer is: that is
C{connection.exchanges[number]}, which the wire keeps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from guest.core.conditionals import apply_conditionals
from guest.core.data_link import BulkPolicy, DataLink, DataLinks
from guest.core.errors import RequestAborted
from guest.core.files import FileBody
from guest.core.framework import Framework
from guest.core.request import Request
from guest.core.request_body import IncomingBody
from guest.core.response import Response, checked_fields, field_list
from guest.core.response_body import OutgoingBody, UnreadBody
from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection
from subproxy.wire.fields import Headers, Info
from subproxy.wire.info import token_ahead
from subproxy.wire.limits import INTERIM_COST, MAX_INTERIM, MAX_REASON
from subproxy.wire.states import Half

TURN = 262_144
"""How many bytes one response may send before everybody else has had a turn."""

_HEAD_ROOM = 4096
"""What the frame of a response takes beside its fields and its body, generously."""


HELD = 65_536
"""How many bytes of a request's body that nobody reads may come over a data connection."""


class GuestExchange:
    """
    One exchange, seen from the guest.

    @ivar number: its number on its connection.
    @ivar task: what runs for it, and can be cancelled; None if nothing does.
    @ivar closed: is told, once, when it is over, and why.
    """

    __slots__ = ("_ahead", "_announced", "_arrived", "_bulk", "_connection", "_ending", "_fetching",
                 "_flush", "_framework", "_held", "_incoming", "_interim", "_line",
                 "_message", "_ready", "_request", "_token", "_waiter", "closed", "number",
                 "task")  # fmt: skip
    _waiter: Awaitable[Any] | None

    def __init__(
        self,
        connection: WireConnection,
        message: m.Request,
        framework: Framework,
        flush: Callable[[], None],
        ready: Callable[[], bool] = lambda: True,
        bulk: BulkPolicy | None = None,
        body: IncomingBody | None = None,
    ) -> None:
        """
        Begin.

        @param flush: writes what the connection has to send.
        @param ready: whether the transport takes more.
        @param bulk: what large bodies go over; None: frames.
        @param body: the request's body, if somebody has it who reads it already.
        """
        self._connection = connection
        self._framework = framework
        self._flush = flush
        self._ready = ready
        self._waiter = None
        self._interim = 0
        self._bulk = bulk
        self._token: bytes | None = None  # for the response's body
        self._ahead: DataLink | None = None  # which has claimed that which came with the request
        self._announced: Info | None = None  # the request's body, while a line is to bring it
        self._fetching = False
        self._line: DataLink | None = None  # which does
        self._arrived = self._held = 0  # bytes over it, and of these, what nobody has read
        self._ending: Headers | None = None  # the trailers, if they came first
        if type(message.body) is dict:
            self._announced = message.body
        self.number = message.exchange
        self.task: Any = None
        self.closed: Callable[[RequestAborted], object] | None = None
        self._message = message
        self._request: Request | None = None  # made when somebody asks for it
        self._incoming = body
        if body is None and type(message.body) is not bytes:
            self._incoming = IncomingBody(framework, self._consumed, None)

    def __repr__(self) -> str:
        return f"<GuestExchange {self.number} {self.request!r}>"

    @property
    def request(self) -> Request:
        """What the application gets."""
        if self._request is None:
            message = self._message
            self._request = Request(
                message.method,
                message.target,
                message.headers,
                message.info,
                self._body,
                self.interim,
            )
            wire = self._connection.exchanges.get(self.number)
            if wire is None or wire.tunnel is None:
                # Where none were agreed upon, the key means nothing.
                self._request.tunnel = None
        return self._request

    @request.setter
    def request(self, request: Request) -> None:
        self._request = request

    @property
    def method(self) -> bytes:
        """The method of the request."""
        return self._message.method

    @property
    def _body(self) -> IncomingBody:
        if self._incoming is None:
            whole = self._message.body
            assert isinstance(whole, bytes)
            self._incoming = IncomingBody(self._framework, self._consumed, whole)
        return self._incoming

    @property
    def over(self) -> bool:
        """The exchange is over: nothing more can be sent in it."""
        return self.number not in self._connection.exchanges

    @property
    def finished(self) -> bool:
        """Nothing is to come or to go any more."""
        return self.over

    @property
    def begun(self) -> bool:
        """Whether the final response has begun, or nobody waits for it."""
        return self.over or self._connection.exchanges[self.number].ours is not Half.WAITING

    # What comes.

    def body_received(self, data: bytes) -> None:
        """A piece of the request's body came."""
        self._body.received(data)

    def agrees(self, length: object) -> bool:
        """Whether C{length}, if it is told, is what was told of the request's body before."""
        return self._announced is None or length in (None, self._announced[b"length"])

    def body_ended(self, trailers: Headers) -> None:
        """The request's body is complete, as soon as all that a line brings is here."""
        if self._announced is not None and self._arrived < self._announced[b"length"]:
            self._ending = trailers
        else:
            self._body.ended(trailers)

    def connect_came(self, token: bytes) -> None:
        """The proxy wants a data connection for the response's body."""
        self._token = token
        self.wake()

    def ended(self, reason: RequestAborted) -> None:
        """It is over: whoever still reads or writes for it gets to know."""
        closed, self.closed = self.closed, None
        if closed is not None:
            closed(reason)
        if self._incoming is not None:
            self._incoming.failed(reason)
        line, self._line = self._line, None
        if line is not None:
            line.abort()
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.abort()
        self.wake()

    # The request's body over a data connection.

    def fetch(self) -> None:
        """Have it brought, unless it is on its way."""
        if not self._fetching and self._announced is not None and self._bulk is not None:
            self._fetching = True
            self._bulk.start(self._fetch(self._bulk.lines, self._announced))

    async def _fetch(self, lines: DataLinks, announced: Info) -> None:
        line = await lines.connect(self.number, announced[b"token"])
        if self.over:
            if line is not None:
                line.abort()
        elif line is None:
            self._in_frames()
        else:
            self._line = line
            line.receive(announced[b"length"], self)

    def _in_frames(self) -> None:
        """Ask for the body the other way."""
        self._announced = None
        self._consumed(0)

    def data_received(self, data: bytes) -> None:
        """A piece of the request's body came over the line."""
        size = len(data)
        self._arrived += size
        self._held += size
        if self._held >= HELD and self._line is not None:
            self._line.pause()
        self._body.received(data)

    def data_complete(self) -> None:
        """All of it has come, and the line may carry another."""
        self._line = None
        if self._ending is not None:
            self._body.ended(self._ending)

    def data_lost(self) -> None:
        """The line is gone, and not all has come."""
        self._line = None
        if self.over:
            return
        if self._arrived:
            self._body.failed(RequestAborted("lost", "the data connection is gone"))
        else:
            self._in_frames()

    def wake(self) -> None:
        """There may be room for more of the response now."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            self._framework.resolve(waiter, None)

    def _consumed(self, amount: int) -> None:
        if self._announced is not None:
            self._held -= amount
            if not amount:
                self.fetch()
            elif self._line is not None and self._held < HELD // 2:
                self._line.resume()
            return
        self._connection.consumed(self.number, amount)
        self._flush()

    # What goes.

    def interim(self, status: int, headers: Headers) -> None:
        """
        Send an interim response.

        @raise ValueError: it is none, or the final response has begun, or the exchange has had
            as many as it may (docs/protocol.md, "response").
        """
        if not 100 <= status <= 199 or status == 101:
            raise ValueError(f"{status} is not an interim status")
        headers = field_list(headers)
        checked_fields(headers)
        if self.over:
            return
        if self.begun:
            raise ValueError("the response has begun")
        cost = INTERIM_COST + sum(len(name) + len(value) for name, value in headers)
        if self._interim + cost > MAX_INTERIM:
            raise ValueError("too many interim responses, or too large")
        self._interim += cost
        self._connection.send(m.Response(self.number, status, headers))
        self._flush()

    def begin(self, response: Response) -> OutgoingBody | None:
        """
        Send the head, and the body as far as it is there.

        @return: the body that L{stream} must send; None if there is nothing to do for it.
        @raise TypeError, ValueError: the response is not one that can be sent; nothing was.
        """
        body = response.body
        if isinstance(body, FileBody) and not body.settled:
            apply_conditionals(self.request, response, body)
        if self.over:
            return None if isinstance(body, bytes | list | tuple) else UnreadBody(body)
        length = response.checked()
        if isinstance(body, list | tuple):
            body = b"".join(body)
        if isinstance(body, bytes | bytearray | memoryview):
            return self._begin_bytes(response, bytes(body), length)
        if response.bodiless(self.method):
            self._head(response, response.headers, b"")
            return UnreadBody(body)
        outgoing = OutgoingBody(body, length, eager=not isinstance(body, FileBody))
        if not self.over:
            self._head(response, response.headers, self._way(response, length))
        return outgoing

    def _way(self, response: Response, length: int | None) -> Info | None:
        """How a body goes: over a data connection if it is large, or said to be."""
        bulk = self._bulk
        if bulk is None or not (response.bulk or (length or 0) >= bulk.threshold > 0):
            return None
        if length is None:
            return {}
        token = token_ahead(self._message.info)
        if token is not None:
            self._ahead = bulk.lines.claim_idle(self.number, token)
            if self._ahead is not None:
                return {b"length": length, b"ahead": True}
        return {b"length": length}

    def _begin_bytes(
        self, response: Response, body: bytes, length: int | None
    ) -> OutgoingBody | None:
        headers = response.headers
        method = self.method
        if response.bodiless(method):
            if length is None and not response.bodiless(b"GET"):
                headers = [*headers, (b"content-length", b"%d" % len(body))]
            self._head(response, headers, b"")
            return None
        if length is not None and length != len(body):
            raise ValueError(f"content-length is {length}, and the body has {len(body)} bytes")
        way = self._way(response, len(body))
        if way is not None:
            self._head(response, headers, way)
            return OutgoingBody((body,), len(body))
        limits = self._connection.peer_limits
        fields = sum(len(name) + len(value) + 16 for name, value in headers)
        room = limits.frame - fields - _HEAD_ROOM
        if not response.trailers and len(body) <= min(limits.inline, room):
            self._head(response, headers, body)
            return None
        trailers = response.final_trailers()
        if length is None and not trailers:
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        self._head(response, headers, None)
        self._connection.write_body(self.number, body)
        self._connection.end_body(self.number, trailers)
        self._flush()
        return None

    def _head(self, response: Response, headers: Headers, body: bytes | Info | None) -> None:
        info: Info = {} if response.reason is None else {b"reason": response.reason}
        self._connection.send(m.Response(self.number, response.status, headers, info, body))
        self._flush()

    async def stream(self, outgoing: OutgoingBody, response: Response) -> None:
        """
        Send the body that L{begin} left, a piece at a time, as there is credit.

        @raise Exception: whatever the source raises; see L{fail}.
        """
        try:
            if await self._carried(outgoing, response):
                return
            sent = 0
            while await self._room():
                piece = await outgoing.next()
                if self.over:
                    return
                if piece is None:
                    info = self._connection.framed_end(self.number)
                    self._connection.end_body(self.number, response.final_trailers(), info)
                    self._flush()
                    return
                self._connection.write_body(self.number, piece)
                self._flush()
                sent += len(piece)
                if sent >= TURN:
                    sent = 0
                    await self._turn()
        finally:
            await outgoing.close()

    async def _carried(self, outgoing: OutgoingBody, response: Response) -> bool:
        """Send the body over a data connection, if it is to go over one that can be had."""
        if self._bulk is None or self.over:
            return False
        if self._connection.exchanges[self.number].ours is not Half.BULK:
            return False
        line, self._ahead = self._ahead, None
        if line is None:
            while self._token is None:
                await self._wait()
                if self.over:
                    return True
            line = await self._bulk.lines.connect(self.number, self._token)
        if line is None:
            return False
        sent = 0
        complete = False
        try:
            if isinstance(outgoing.source, FileBody):
                sent = len(outgoing.source)
                if not await line.send_file(outgoing.source):
                    self._break_off(b"the data connection is gone")
                    return True
                outgoing.skip()
            while (piece := await outgoing.next()) is not None:
                if self.over:
                    return True
                sent += len(piece)
                if not await line.send(piece):
                    self._break_off(b"the data connection is gone")
                    return True
            if not self.over:
                length = {b"length": sent}
                self._connection.end_body(self.number, response.final_trailers(), length)
                self._flush()
                complete = True
        finally:
            if complete and outgoing.expected is not None:
                line.release()
            elif complete:
                line.close()
            else:
                line.abort()
        return True

    def _break_off(self, reason: bytes) -> None:
        if not self.over:
            self._connection.send(m.Abort(self.number, b"error", reason))
            self._flush()

    async def _room(self) -> bool:
        """
        Wait until all that was pulled has gone, and the transport is ready; False if it is over.

        Not until there is credit: the end needs none, so we look one piece ahead.
        """
        while not self.over:
            if not self._connection.pending(self.number) and self._ready():
                return True
            await self._wait()
        return False

    async def _wait(self) -> None:
        self._waiter = waiter = self._framework.future()
        try:
            await waiter
        finally:
            if self._waiter is waiter:
                self._waiter = None

    async def _turn(self) -> None:
        self._framework.soon(self.wake)
        await self._wait()

    def fail(self, status: int, reason: str) -> None:
        """The application failed: answer with C{status}, or break off what has begun."""
        if self.over:
            return
        if self.begun:
            self._break_off(b"the application failed")
            return
        text = b"" if self.method == b"HEAD" else f"{status} {reason}\n".encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        self._connection.send(m.Response(self.number, status, headers, {}, text))
        self._flush()

    def give_up(self, code: bytes, reason: str) -> None:
        """
        There is no response: let the proxy ask another guest, or answer by itself.

        @param code: C{refused}: nothing has been executed; C{error}: anything else.
        """
        if self.begun:
            self._break_off(reason.encode()[:MAX_REASON])
        else:
            self._connection.send(m.Abort(self.number, code, reason.encode()[:MAX_REASON]))
            self._flush()
