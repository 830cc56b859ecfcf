"""The requests of one subscription that are under way, and what comes for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from guest.core.data_link import BulkPolicy
from guest.core.errors import BodyTooLong, RequestAborted
from guest.core.exchange import GuestExchange
from guest.core.request import Request
from guest.core.response import Response
from guest.core.runtime import Runtime
from subproxy.wire import messages as m
from subproxy.wire.connection import Violation, WireConnection
from subproxy.wire.fields import Info


class Exchanges:
    """
    The exchanges of one subscription, each from its request until nothing runs for it any more.

    @ivar bulk: what large bodies go over, if not over frames.
    @ivar writable: the transport takes more.
    """

    def __init__(
        self,
        connection: WireConnection,
        runtime: Runtime,
        flush: Callable[[], None],
        receive: Callable[[Request], Any],
        aborted: Callable[[Request, RequestAborted], None],
        idle: Callable[[], None],
    ) -> None:
        """
        Begin with none.

        @param flush: sends what C{connection} has to send.
        @param receive: the application's answer to a request: a L{Response}, or what can be
            awaited for one.
        @param aborted: is told that nobody waits for an answer any more.
        @param idle: is told when there may be none any more.
        """
        self.bulk: BulkPolicy | None = None
        self.writable = True
        self._connection = connection
        self._runtime = runtime
        self._flush = flush
        self._receive = receive
        self._aborted = aborted
        self._idle = idle
        self._exchanges: dict[int, GuestExchange] = {}

    def __len__(self) -> int:
        return len(self._exchanges)

    def wake(self) -> None:
        """The transport takes more: so do streams."""
        for exchange in list(self._exchanges.values()):
            exchange.wake()

    def request(self, message: m.Request) -> None:
        """A request came: have it answered."""
        number = message.exchange
        if type(message.body) is dict and not _announces(message.body):
            self._connection.send(m.Abort(number, b"protocol", b"a body without token or length"))
            self._flush()
            return
        exchange = GuestExchange(
            self._connection, message, self._runtime, self._flush, self._is_writable, self.bulk
        )
        self._exchanges[number] = exchange
        if message.info.get(b"expect") is not True:
            exchange.fetch()
        try:
            result = self._receive(exchange.request)
            if type(result) is Response:
                outgoing = exchange.begin(result)
                if outgoing is None:
                    self._reap(exchange)
                    return
                running = exchange.stream(outgoing, result)
            else:
                running = self._answer(exchange, result)
        except Exception as error:
            self._over(exchange, error)
            return
        exchange.task = task = self._runtime.start(running)
        self._runtime.when_done(task, partial(self._over, exchange))

    def _is_writable(self) -> bool:
        return self.writable

    async def _answer(self, exchange: GuestExchange, result: Any) -> None:
        if hasattr(result, "__await__"):
            result = await result
        if not isinstance(result, Response):
            raise TypeError(f"requestReceived returns a Response, not {type(result).__name__}")
        outgoing = exchange.begin(result)
        if outgoing is not None:
            await exchange.stream(outgoing, result)

    def _over(self, exchange: GuestExchange, error: BaseException | None) -> None:
        """What ran for an exchange is over."""
        if error is not None:
            self._failed(exchange, error)
        exchange.task = None
        self._reap(exchange)

    def _failed(self, exchange: GuestExchange, error: BaseException) -> None:
        if exchange.over:
            if not isinstance(error, (self._runtime.cancelled, RequestAborted)):
                self._log_failure(exchange, error)
        elif isinstance(error, RequestAborted):
            exchange.fail(400, "Bad Request")
        elif isinstance(error, BodyTooLong):
            exchange.fail(413, "Content Too Large")
        else:
            self._log_failure(exchange, error)
            exchange.fail(500, "Internal Server Error")

    def _log_failure(self, exchange: GuestExchange, error: BaseException) -> None:
        request = exchange.request
        self._runtime.log.failure(
            "The application failed at {method} {target} (request id {id})",
            error,
            method=words(request.method),
            target=words(request.target),
            id=words(request.id),
        )

    def _reap(self, exchange: GuestExchange) -> None:
        """Forget an exchange when it is over on the wire and nothing runs for it."""
        if exchange.over and exchange.task is None:
            if self._exchanges.pop(exchange.number, None) is not None:
                exchange.ended(RequestAborted("answered", "the request has been answered"))
            self._idle()

    def body(self, message: m.Body) -> None:
        """A piece of a request's body came."""
        exchange = self._exchanges.get(message.exchange)
        if exchange is not None:
            exchange.body_received(message.data)

    def end(self, message: m.End) -> None:
        """A request's body is complete."""
        exchange = self._exchanges.get(message.exchange)
        if exchange is None:
            return
        if exchange.agrees(message.info.get(b"length")):
            exchange.body_ended(message.trailers)
            return
        reason = "the end of the body tells another length than its head"
        self._connection.send(m.Abort(exchange.number, b"protocol", reason.encode()))
        self._flush()
        self._abandon(exchange.number, RequestAborted("protocol", reason))

    def credit(self, message: m.Credit) -> None:
        """The proxy takes more of a response."""
        exchange = self._exchanges.get(message.exchange)
        if exchange is not None:
            exchange.wake()
            self._reap(exchange)

    def abort(self, message: m.Abort) -> None:
        """Nobody waits for an answer."""
        self._abandon(message.exchange, RequestAborted(words(message.code), words(message.reason)))

    def connect(self, message: m.Connect) -> None:
        """The proxy wants a response's body over a data connection."""
        exchange = self._exchanges.get(message.exchange)
        if exchange is not None:
            exchange.connect_came(message.token)

    def violation(self, event: Violation) -> None:
        """The proxy broke a rule in one exchange."""
        self._runtime.log.warn(
            "Exchange {exchange}: the proxy broke the protocol: {reason}",
            exchange=event.exchange,
            reason=event.reason,
        )
        self._abandon(event.exchange, RequestAborted("protocol", event.reason))

    def _abandon(self, number: int, reason: RequestAborted) -> None:
        exchange = self._exchanges.get(number)
        if exchange is None:
            return
        self._aborted(exchange.request, reason)
        task = exchange.task
        exchange.ended(reason)
        if task is not None and exchange.task is task:
            task.cancel()
        self._reap(exchange)

    def abandon_all(self) -> None:
        """The subscription is over, and so are they."""
        self._connection.exchanges.clear()
        for number in list(self._exchanges):
            self._abandon(number, RequestAborted("lost", "the connection to the proxy is gone"))


IN_EXCHANGE: dict[type, Callable[[Exchanges, Any], None]] = {
    m.Request: Exchanges.request,
    m.Body: Exchanges.body,
    m.End: Exchanges.end,
    m.Credit: Exchanges.credit,
    m.Abort: Exchanges.abort,
    m.Connect: Exchanges.connect,
    Violation: Exchanges.violation,
}
"""Who takes what comes for an exchange."""


def _announces(body: Info) -> bool:
    """Whether a request says enough of a body that goes over a data connection."""
    length, token = body.get(b"length"), body.get(b"token")
    return type(length) is int and length > 0 and type(token) is bytes and len(token) > 0


def words(text: bytes) -> str:
    """Bytes, for a person."""
    return text.decode("utf-8", "replace")
