"""The requests of one subscription that are under way, and what comes for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Protocol

from guest.core.data_link import BulkPolicy
from guest.core.errors import BodyTooLong, RequestAborted, RequestFailed, RequestRefused
from guest.core.exchange import GuestExchange
from guest.core.field_encoder import FieldEncoder
from guest.core.request import Request
from guest.core.request_body import IncomingBody
from guest.core.response import BODILESS, Response
from guest.core.response_body import OutgoingBody, UnreadBody
from guest.core.runtime import Runtime
from guest.core.tunnel import Acceptance, TunnelConnection
from guest.core.tunnel_exchange import TunnelExchange
from subproxy.wire import messages as m
from subproxy.wire.connection import Violation, WireConnection
from subproxy.wire.fields import Headers, Info
from subproxy.wire.whole import WholeRequest


class ExchangeAdapter(Protocol):
    """
    An application of another kind than C{Request} to C{Response}: ASGI, WSGI.

    @ivar lower_names: it wants names of fields in lower case, of whole requests.
    """

    lower_names: bool

    def whole(self, exchanges: Exchanges, found: WholeRequest) -> None:
        """Answer a request that is all here; its exchange has no state yet."""

    def begun(self, exchanges: Exchanges, exchange: GuestExchange) -> None:
        """Answer a request whose body is to come, or that is unusual in another way."""


class Exchanges:
    """
    The exchanges of one subscription, each from its request until nothing runs for it any more.

    @ivar bulk: what large bodies go over, if not over frames.
    @ivar writable: the transport takes more.
    @ivar lower_names: names of fields of whole requests are to be in lower case.
    """

    def __init__(
        self,
        connection: WireConnection,
        runtime: Runtime,
        flush: Callable[[], None],
        receive: Callable[[Request], Any] | ExchangeAdapter,
        aborted: Callable[[Request, RequestAborted], None],
        idle: Callable[[], None],
        tunnels: Callable[[Request], Any] | None = None,
    ) -> None:
        """
        Begin with none.

        @param flush: sends what C{connection} has to send.
        @param receive: the application's answer to a request: a L{Response}, or what can be
            awaited for one. Or who answers by itself.
        @param aborted: is told that nobody waits for an answer any more.
        @param idle: is told when there may be none any more.
        @param tunnels: the application's answer to a request for a tunnel: an L{Acceptance}, or a
            L{Response}, or what can be awaited for one; None: C{receive} has it.
        """
        self.bulk: BulkPolicy | None = None
        self.writable = True
        self._connection = connection
        self._runtime = runtime
        self._flush = flush
        self._receive = self._adapter = receive
        self._receive_tunnel = tunnels or receive
        if callable(receive):
            self._take, self.whole = self._ask, self._whole
        else:
            self._take, self.whole = partial(receive.begun, self), partial(receive.whole, self)
        self.lower_names = bool(getattr(receive, "lower_names", False))
        self.fields = FieldEncoder()
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
        exchange = self._open(message) if b"tunnel" not in message.info else self._asked(message)
        if message.info.get(b"expect") is not True:
            exchange.fetch()
        self._take(exchange)

    def _open(self, message: m.Request, body: IncomingBody | None = None) -> GuestExchange:
        exchange = GuestExchange(
            self._connection,
            message,
            self._runtime,
            self._flush,
            self._is_writable,
            self.bulk,
            body,
        )
        self._exchanges[message.exchange] = exchange
        return exchange

    def _asked(self, message: m.Request) -> GuestExchange:
        """A request for a tunnel, if those were agreed upon."""
        if self._connection.exchanges[message.exchange].tunnel is None:
            return self._open(message)
        exchange = self._exchanges[message.exchange] = TunnelExchange(
            self._connection,
            message,
            self._runtime,
            self._flush,
            self._is_writable,
            self.bulk,
            self._reap,
        )
        return exchange

    def promote(self, found: WholeRequest, body: IncomingBody | None = None) -> GuestExchange:
        """Give a whole request its exchange: it is not answered at once, or not whole."""
        number, method, target, headers, info, content = found
        self._connection.adopt_request(number)
        return self._open(m.Request(number, method, target, headers, info, content), body)

    def answer_whole(
        self, number: int, method: bytes, status: int, fields: Iterable[Any], body: bytes
    ) -> bool:
        """
        Answer a whole request in one frame.

        @return: whether that could be; otherwise it is to be promoted, and answered so.
        """
        bulk = self.bulk
        if (
            type(status) is not int
            or not 200 <= status <= 599
            or status in BODILESS
            or method == b"HEAD"
            or (bulk is not None and 0 < bulk.threshold <= len(body))
        ):
            return False
        section = self.fields.encode(fields, len(body))
        return section is not None and self._connection.answer_whole(number, status, section, body)

    def answer(
        self,
        exchange: GuestExchange,
        status: int,
        fields: Headers,
        body: bytes,
        kind: type[Response] = Response,
    ) -> None:
        """
        Answer with a body that is all here; L{flush} writes it, if nothing else does.

        @param kind: of response that it is, where it needs one.
        """
        if not exchange.begun and self.answer_whole(
            exchange.number, exchange.method, status, fields, body
        ):
            self._reap(exchange)
        else:
            self.respond(exchange, kind(status, fields, body))

    def answer_later(self, exchange: GuestExchange, result: Awaitable[Response]) -> None:
        """Answer with what is awaited, which is cancelled when nobody waits any more."""
        self._go(exchange, result)

    def flush(self) -> None:
        """Write what was said, where no turn of the connection's own ends with that."""
        self._flush()

    def _whole(self, found: WholeRequest) -> None:
        number, method, target, headers, info, content = found
        prompt = _Prompt(self, found)
        body = IncomingBody(self._runtime, prompt.consumed, content)
        request = Request(method, target, headers, info, body, prompt.interim)
        prompt.body = body
        try:
            result = self._receive(request)  # type: ignore[operator]
        except Exception as error:
            self._over(prompt.promoted(request), error)
            return
        if (
            type(result) is Response
            and type(result.body) is bytes
            and not result.trailers
            and not result.bulk
            and result.reason is None
            and prompt.exchange is None
            and self.answer_whole(number, method, result.status, result.headers, result.body)
        ):
            return
        self._go(prompt.promoted(request), result)

    def _ask(self, exchange: GuestExchange) -> None:
        request = exchange.request
        receive = self._receive if request.tunnel is None else self._receive_tunnel
        try:
            result = receive(request)  # type: ignore[operator]
        except Exception as error:
            self._over(exchange, error)
        else:
            self._go(exchange, result)

    def _go(self, exchange: GuestExchange, result: Any) -> None:
        if type(result) is Response:
            self.respond(exchange, result)
        else:
            self._run(exchange, self._answer(exchange, result))

    def begin(self, exchange: GuestExchange, response: Response) -> OutgoingBody | None:
        """
        As L{GuestExchange.begin}; the body of a response that is none is closed.

        @raise TypeError, ValueError: the response is not one that can be sent; nothing was.
        """
        try:
            return exchange.begin(response)
        except Exception:
            # Whoever made it may hold a file, or a connection.
            closing = self._runtime.start(UnreadBody(response.body).close())
            self._runtime.when_done(closing, self._closed)
            raise

    def _closed(self, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, self._runtime.cancelled):
            self._runtime.log.failure("The body of a response could not be closed", error)

    def respond(self, exchange: GuestExchange, response: Response) -> None:
        """Send a response: what is there of it at once, the rest as the proxy takes it."""
        try:
            outgoing = self.begin(exchange, response)
        except Exception as error:
            self._over(exchange, error)
        else:
            self.carry(exchange, outgoing, response)

    def carry(
        self, exchange: GuestExchange, outgoing: OutgoingBody | None, response: Response
    ) -> None:
        """Send what L{begin} has left of a response, as the proxy takes it."""
        if outgoing is None:
            self._reap(exchange)
        else:
            self._run(exchange, exchange.stream(outgoing, response))

    def fail(self, exchange: GuestExchange, error: Exception) -> None:
        """The application failed: answer with what that means, or break off what has begun."""
        self._over(exchange, error)

    def _run(self, exchange: GuestExchange, running: Coroutine[Any, Any, None]) -> None:
        # It may begin at once, and be abandoned before there is a task to cancel.
        exchange.task = beginning = _Beginning()
        exchange.task = task = self._runtime.start(running)
        self._runtime.when_done(task, partial(self._over, exchange))
        if beginning.cancelled:
            task.cancel()

    def _is_writable(self) -> bool:
        return self.writable

    async def _answer(self, exchange: GuestExchange, result: Any) -> None:
        if hasattr(result, "__await__"):
            result = await result
        serve = None
        if isinstance(result, Acceptance) and exchange.request.tunnel is not None:
            result, serve = result.begin(self._runtime, self.tunnel(exchange))
        if not isinstance(result, Response):
            raise TypeError(f"requestReceived returns a Response, not {type(result).__name__}")
        if (
            type(result.body) is bytes
            and not result.trailers
            and not result.bulk
            and result.reason is None
            and exchange.request.body.whole is not None
            and not exchange.begun
            and self.answer_whole(
                exchange.number, exchange.method, result.status, result.headers, result.body
            )
        ):
            self._flush()
            return
        outgoing = self.begin(exchange, result)
        if serve is not None and not exchange.over:
            serving = self._runtime.start(serve())
            self._runtime.when_done(serving, partial(self._served, exchange))
        if outgoing is not None:
            await exchange.stream(outgoing, result)

    def tunnel(self, exchange: GuestExchange) -> TunnelConnection:
        """The tunnel that C{exchange} becomes if it is accepted."""
        return TunnelConnection(self._runtime, exchange, partial(self._give_up, exchange))

    def _give_up(self, exchange: GuestExchange, reason: str) -> None:
        exchange.give_up(b"error", reason)
        self._reap(exchange)

    def _served(self, exchange: GuestExchange, error: BaseException | None) -> None:
        """What served a tunnel is over."""
        if error is not None and not isinstance(error, (self._runtime.cancelled, *_NO_ANSWER)):
            self._log_failure(exchange, error)

    def _over(self, exchange: GuestExchange, error: BaseException | None) -> None:
        """What ran for an exchange is over."""
        if error is not None:
            self._failed(exchange, error)
        exchange.task = None
        self._reap(exchange)

    def _failed(self, exchange: GuestExchange, error: BaseException) -> None:
        if exchange.over:
            if not isinstance(error, (self._runtime.cancelled, *_NO_ANSWER)):
                self._log_failure(exchange, error)
        elif isinstance(error, RequestAborted):
            exchange.fail(400, "Bad Request")
        elif isinstance(error, BodyTooLong):
            exchange.fail(413, "Content Too Large")
        elif isinstance(error, RequestRefused):
            exchange.give_up(b"refused", str(error))
        elif isinstance(error, RequestFailed):
            self._runtime.log.warn(
                "No answer to {what}: {error}", what=_shown(exchange), error=error
            )
            exchange.give_up(b"error", str(error))
        else:
            self._log_failure(exchange, error)
            exchange.fail(500, "Internal Server Error")

    def _log_failure(self, exchange: GuestExchange, error: BaseException) -> None:
        self._runtime.log.failure("The application failed at {what}", error, what=_shown(exchange))

    def _reap(self, exchange: GuestExchange) -> None:
        """Forget an exchange when it is over on the wire and nothing runs for it."""
        if exchange.finished and exchange.task is None:
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
            # The last word of a tunnel may be the proxy's.
            self._reap(exchange)
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

    def move(self, message: m.Move) -> None:
        """The client's half of a tunnel goes over its data connection from now on."""
        exchange = self._exchanges.get(message.exchange)
        if isinstance(exchange, TunnelExchange):
            exchange.moved()

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


class _Beginning:
    """What runs for an exchange, while it makes its first step."""

    __slots__ = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        """It is to be, behind that step."""
        self.cancelled = True


class _Prompt:
    """A whole request, while the application is asked for its answer."""

    __slots__ = ("_exchanges", "_found", "body", "exchange")
    body: IncomingBody

    def __init__(self, exchanges: Exchanges, found: WholeRequest) -> None:
        self._exchanges = exchanges
        self._found = found
        self.exchange: GuestExchange | None = None

    def promoted(self, request: Request | None = None) -> GuestExchange:
        if self.exchange is None:
            self.exchange = self._exchanges.promote(self._found, self.body)
        if request is not None:
            self.exchange.request = request
        return self.exchange

    def interim(self, status: int, headers: Headers) -> None:
        self.promoted().interim(status, headers)

    def consumed(self, amount: int) -> None:
        """It is all here."""


IN_EXCHANGE: dict[type, Callable[[Exchanges, Any], None]] = {
    m.Request: Exchanges.request,
    m.Body: Exchanges.body,
    m.End: Exchanges.end,
    m.Credit: Exchanges.credit,
    m.Abort: Exchanges.abort,
    m.Connect: Exchanges.connect,
    m.Move: Exchanges.move,
    Violation: Exchanges.violation,
}
"""Who takes what comes for an exchange."""


def _announces(body: Info) -> bool:
    """Whether a request says enough of a body that goes over a data connection."""
    length, token = body.get(b"length"), body.get(b"token")
    return type(length) is int and length > 0 and type(token) is bytes and len(token) > 0


_NO_ANSWER = (RequestAborted, RequestFailed, RequestRefused)
"""What says that there is no answer, and not that something is wrong here."""


def _shown(exchange: GuestExchange) -> str:
    request = exchange.request
    method, target, name = words(request.method), words(request.target), words(request.id)
    return f"{method} {target} (request id {name})"


def words(text: bytes) -> str:
    """Bytes, for a person."""
    return text.decode("utf-8", "replace")
