"""One request of an ASGI application: its C{receive} and its C{send}."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from enum import Enum, auto
from typing import Any, Protocol

from guest.core.body_queue import BodyQueue
from guest.core.errors import RequestAborted
from guest.core.exchange import GuestExchange
from guest.core.exchanges import Exchanges
from guest.core.files import FileBody
from guest.core.response import Response
from guest.core.runtime import Runtime
from subproxy.wire.fields import Headers
from subproxy.wire.whole import WholeRequest

AsgiMessage = MutableMapping[str, Any]

HEAD_DELAY = 1.0
"""
Seconds after which a head goes without a body.

The specification has a server wait for the first piece. But that of a stream of events may come
after minutes: until it has a head, a browser does not say that the stream is open, and the proxy
takes the application for one that does not answer. uvicorn and Hypercorn wait for nothing. Within
this time nearly all responses are whole, or have failed, which then is a 500.
"""


class CycleHost(Protocol):
    """
    What a cycle has of its adapter.

    @ivar runtime: of the event loop.
    @ivar pathsend: whether C{http.response.pathsend} is offered.
    """

    runtime: Runtime
    pathsend: bool

    def ask_again(self, cycle: AsgiCycle) -> bool:
        """Ask the application again, without that offer; False: the request forbids it."""


class ClientDisconnected(OSError):
    """
    Nobody waits for what an application sends.

    ASGI wants an C{OSError} for that, from 2.4 on; one that lets it pass has done right.
    """


class AsgiState(Enum):
    """How far the response of an application is."""

    __hash__ = object.__hash__

    WAITING = auto()
    """It has not begun."""
    STARTED = auto()
    """Its head is here, and not sent: the body may be as well."""
    HEADED = auto()
    """Its head is on its way, as nothing of the body had come for a while."""
    STREAMING = auto()
    """Its head is on its way, and more body may come."""
    TRAILERS = auto()
    """Trailers are to come."""
    DONE = auto()
    """It is complete."""


_MAY: dict[AsgiState, frozenset[str]] = {
    AsgiState.WAITING: frozenset({"http.response.start", "http.response.early_hint"}),
    AsgiState.STARTED: frozenset({"http.response.body", "http.response.pathsend"}),
    AsgiState.HEADED: frozenset({"http.response.body", "http.response.pathsend"}),
    AsgiState.STREAMING: frozenset({"http.response.body"}),
    AsgiState.TRAILERS: frozenset({"http.response.trailers"}),
    AsgiState.DONE: frozenset(),
}
"""What may be sent in each state."""

_NOTHING = frozenset({AsgiState.WAITING, AsgiState.STARTED})
_ON_ITS_WAY = frozenset({AsgiState.HEADED, AsgiState.STREAMING, AsgiState.TRAILERS})

_QUIET = frozenset({"answered", "complete"})
"""Codes with which an exchange ends although its client is there: the rest is not wanted."""


class AsgiCycle:
    """
    One request.

    @ivar exchanges: the exchanges of its connection.
    @ivar state: how far the response is.
    @ivar task: the application.
    """

    __slots__ = ("_body", "_closed", "_exchange", "_fields", "_found", "_host", "_pathsend",
                 "_queue", "_read", "_runtime", "_status", "_timer", "_trailers", "_waiting",
                 "_wants_trailers", "exchanges", "state", "task")  # fmt: skip
    _status: int
    _fields: Iterable[Any]
    _trailers: Headers
    _wants_trailers: bool

    def __init__(
        self,
        host: CycleHost,
        exchanges: Exchanges,
        found: WholeRequest | None,
        body: bytes | None,
        exchange: GuestExchange | None = None,
    ) -> None:
        """
        Begin.

        @param found: the request, if it came whole and has no exchange.
        @param body: of the request, if it is all here.
        @param exchange: otherwise, its exchange.
        """
        self._host = host
        self._runtime = host.runtime
        self._pathsend = host.pathsend
        self._timer: Any = None
        self.exchanges = exchanges
        self._found = found
        self._body = body
        self._exchange = exchange
        self._closed: RequestAborted | None = None
        self._queue: BodyQueue | None = None
        self._waiting: list[Any] | None = None
        self._read = False  # the application has the end of the request's body
        self.state = AsgiState.WAITING
        self.task: Any = None
        if exchange is not None:
            exchange.closed = self._ended

    @property
    def settled(self) -> bool:
        """It is answered, or has an exchange that will be."""
        return self.state is AsgiState.DONE or self._exchange is not None

    def promote(self) -> GuestExchange:
        """The exchange, which there need not have been."""
        if self._exchange is None:
            assert self._found is not None
            self._exchange = self.exchanges.promote(self._found)
            self._exchange.closed = self._ended
            if self.state is AsgiState.STARTED:
                self._timer = self._runtime.later(HEAD_DELAY, self._send_head)
        return self._exchange

    def _ended(self, reason: RequestAborted) -> None:
        self._closed = reason
        self._forget_timer()
        waiting, self._waiting = self._waiting, None
        for waiter in waiting or ():
            self._runtime.resolve(waiter, None)

    # What the application calls.

    async def receive(self) -> AsgiMessage:
        """The request's body in one piece or in several, then that nobody waits any more."""
        body = self._body
        if body is not None:
            self._body = None
            self._read = True
            return {"type": "http.request", "body": body, "more_body": False}
        if self._exchange is None:
            if self.state is AsgiState.DONE:
                return {"type": "http.disconnect"}
            self.promote()
        if not self._read and self._closed is None:
            assert self._exchange is not None
            incoming = self._exchange.request.body
            try:
                piece = await incoming.next()
            except RequestAborted:
                return {"type": "http.disconnect"}
            self._read = piece is None or incoming.complete
            return {"type": "http.request", "body": piece or b"", "more_body": not self._read}
        if self._closed is None:
            waiter = self._runtime.future()
            if self._waiting is None:
                self._waiting = []
            self._waiting.append(waiter)
            await waiter
        return {"type": "http.disconnect"}

    async def send(self, message: AsgiMessage) -> None:
        """
        Take a part of the response; returns when there is room for the next.

        @raise ClientDisconnected: nobody waits for it.
        @raise RuntimeError: it is not its turn.
        """
        kind = message["type"]
        state = self.state
        # First what nearly all requests have: a head, then a body that is all of it.
        if self._closed is None:
            if kind == "http.response.start" and state is AsgiState.WAITING:
                self._start(message)
                return
            if (
                kind == "http.response.body"
                and state is AsgiState.STARTED
                and not message.get("more_body", False)
                and not self._wants_trailers
            ):
                self._whole(message.get("body", b""))
                return
        if kind not in _MAY[state]:
            raise RuntimeError(f"ASGI: {kind!r} came when the response was {state.name.lower()}")
        if self._closed is not None and self._closed.code not in _QUIET:
            raise ClientDisconnected("the client has left")
        if state is AsgiState.HEADED:
            self.state = AsgiState.STREAMING
            if kind == "http.response.body":
                await self._push(message)
            else:
                await self._push_file(message["path"])
        elif state is AsgiState.STARTED and kind == "http.response.body":
            if message.get("more_body", False) or self._wants_trailers:
                self._try(self._stream)
                await self._push(message)
            else:
                self._whole(message.get("body", b""))
        elif kind == "http.response.start":
            self._start(message)
        elif kind == "http.response.body":
            await self._push(message)
        elif kind == "http.response.early_hint":
            links = [(b"link", bytes(link)) for link in message.get("links", ())]
            self.promote().interim(103, links)
        elif kind == "http.response.pathsend":
            self._try(self._file, message["path"])
        else:
            self._trailers.extend((bytes(n), bytes(v)) for n, v in message.get("headers", ()))
            if not message.get("more_trailers", False):
                self._complete()

    def _start(self, message: AsgiMessage) -> None:
        """The head is here."""
        self._status = message["status"]
        fields = message.get("headers", ())
        # They may be read twice, and any iterable is allowed.
        self._fields = fields if type(fields) in (list, tuple) else list(fields)
        self._wants_trailers = bool(message.get("trailers", False))
        self.state = AsgiState.STARTED
        # One that has no exchange yet is in its first step: it may be whole before it waits.
        if self._exchange is not None:
            self._timer = self._runtime.later(HEAD_DELAY, self._send_head)

    def _forget_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _send_head(self) -> None:
        """Nothing of the body has come for a while."""
        self._timer = None
        if self.state is not AsgiState.STARTED:
            return
        try:
            self._stream()
        except Exception:
            self.state = AsgiState.STARTED  # the application is told when it gives a body
        else:
            self.state = AsgiState.HEADED

    def _try(self, begin: Callable[..., None], *args: Any) -> None:
        """Begin the response; if it is none, there may be another."""
        try:
            begin(*args)
        except Exception:
            self.state = AsgiState.WAITING
            raise

    def _whole(self, body: bytes) -> None:
        """The response is all here."""
        found = self._found
        if type(body) is not bytes:
            body = bytes(body)
        self.state = AsgiState.DONE
        if (
            self._exchange is None
            and found is not None
            and self.exchanges.answer_whole(found[0], found[1], self._status, self._fields, body)
        ):
            return
        self._try(self._respond_whole, body)

    def _respond_whole(self, body: bytes) -> None:
        self._respond(Response(self._status, self._pairs(), body))

    def _stream(self) -> None:
        """More is to come: send the head."""
        self._queue = BodyQueue(self._runtime)
        self._trailers = []
        self.state = AsgiState.STREAMING
        self._respond(
            Response(self._status, self._pairs(), self._queue, trailers=lambda: self._trailers)
        )

    def _file(self, path: str) -> None:
        """The body is a file."""
        file = _opened(path)
        fields = self._pairs()
        if not any(name.lower() == b"content-length" for name, _ in fields):
            fields.append((b"content-length", b"%d" % len(file)))
        self.state = AsgiState.DONE
        self._respond(Response(self._status, fields, file))

    def _pairs(self) -> Headers:
        return [(bytes(name), bytes(value)) for name, value in self._fields]

    def _respond(self, response: Response) -> None:
        self._forget_timer()
        exchange = self.promote()
        outgoing = self.exchanges.begin(exchange, response)
        self.exchanges.carry(exchange, outgoing, response)

    async def _push(self, message: AsgiMessage) -> None:
        assert self._queue is not None
        wanted = await self._queue.put(bytes(message.get("body", b"")))
        if not message.get("more_body", False):
            if self._wants_trailers:
                self.state = AsgiState.TRAILERS
            else:
                self._complete()
        if not wanted and self._closed is not None and self._closed.code not in _QUIET:
            raise ClientDisconnected("the client has left")

    async def _push_file(self, path: str) -> None:
        """The body is a file, and the head has been sent."""
        file = _opened(path)
        try:
            for piece in file:
                await self._push({"body": piece, "more_body": True})
        finally:
            file.close()
        await self._push({})

    def _complete(self) -> None:
        self.state = AsgiState.DONE
        if self._queue is not None:
            self._queue.end()

    # The end of the application.

    def over(self, error: BaseException | None) -> None:
        """The application has returned, or failed."""
        gone = self._closed is not None and self._closed.code not in _QUIET
        if error is None and (self.state is AsgiState.DONE or gone):
            return
        if isinstance(error, (self._runtime.cancelled, ClientDisconnected)) and (
            gone or self.state is AsgiState.DONE
        ):
            return
        if error is None:
            if self._pathsend and self.state in _NOTHING and self._host.ask_again(self):
                self.state = AsgiState.DONE
                return
            error = RuntimeError("the application returned without completing its response")
        elif not isinstance(error, Exception):
            error = RuntimeError(f"the application was stopped: {error!r}")
        if self.state in _ON_ITS_WAY:
            self.state = AsgiState.DONE
            assert self._queue is not None
            self._queue.fail(error)
        elif self.state is AsgiState.DONE or gone:
            self._runtime.log.failure("The application failed after its response", error)
        else:
            self.state = AsgiState.DONE
            self.exchanges.fail(self.promote(), error)


def _opened(path: str) -> FileBody:
    return FileBody(open(path, "rb"), settled=True)
