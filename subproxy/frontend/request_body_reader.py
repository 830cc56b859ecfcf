"""
Moves the body of one request from its client to the guest.

Whether the client is read from is decided here: while the guest takes the body, or while it is
collected; not otherwise. What came and is held is an L{RequestBodyBuffer}. The receiving side of
the client's socket may be lent to whoever moves the body without us.
"""

from __future__ import annotations

from collections.abc import Callable

from subproxy.errors import ClientError
from subproxy.frontend.connection_state import ConnectionState
from subproxy.frontend.deadlines import MinDataRate
from subproxy.frontend.interfaces import IBodyConnection, IClientStream
from subproxy.frontend.request_body_buffer import RequestBodyBuffer
from subproxy.relay.receiving import ReceivingState


class RequestBodyReader:
    """
    The request body that C{connection} reads, for as long as it is its C{body_reader}.

    @ivar body: the body.
    @ivar client_stream: the answer to its request.
    @ivar waits: the connection holds some of the body, which is read in the next turn of the
        reactor: very many small chunks are not read at once. Until then the client is not read.
    """

    __slots__ = ("_connection", "_context", "body", "client_stream", "waits")

    def __init__(
        self, connection: IBodyConnection, client_stream: IClientStream, body: RequestBodyBuffer
    ) -> None:
        self._connection = connection
        self._context = connection.context
        self.client_stream = client_stream
        self.body = body
        self.waits = False

    @property
    def complete(self) -> bool:
        """All of it was read."""
        return self.body.complete

    def too_slow(self, now: float) -> bool:
        """See L{RequestBodyBuffer.is_late}."""
        return self.body.is_late(now, self.client_stream, self._context.limits)

    def restart_pace(self, started: float) -> None:
        """The client has been waited for since C{started}, and owes nothing from before."""
        self.body.pace = MinDataRate()
        self.body.pace.start(started)

    def came(self, data: bytes) -> None:
        """Bytes came from the client; what is beyond the body, the connection holds."""
        if self.waits:
            self._connection.held += data
        else:
            self._read(data)

    def wait(self) -> None:
        """Read on in the next turn of the reactor what the connection holds of the body."""
        self.waits = True
        self._connection.pause_reading()
        self._context.clock.callLater(0, self._read_on)

    def _read_on(self) -> None:
        """Read on, and from the client when all that it has sent is read."""
        connection, body = self._connection, self.body
        self.waits = False
        if connection.body_reader is not self:
            return
        data, connection.held = connection.held, b""
        self._read(data)
        if self.waits:
            return
        if connection.receiving is ReceivingState.ENDED:
            connection.readConnectionLost()
        elif connection.state is not ConnectionState.OVER and (body.complete or body.flows):
            connection.resume_reading()

    def _read(self, data: bytes) -> None:
        connection, body = self._connection, self.body
        try:
            connection.held = body.take(data)
        except ClientError as error:
            connection.fail(error)
            return
        self.client_stream.body_came()
        collected = connection.state is ConnectionState.COLLECTING
        if body.complete:
            connection.go(ConnectionState.ANSWERING)
            if collected:
                self._ended()
                connection.collected(body.held())
                return
            connection.wait(self.client_stream.response_timeout)
        elif connection.held:
            self.wait()
        if not collected:
            self.pass_on()

    def pass_on(self) -> None:
        """Give the guest what is held of the body, as far as it takes it, and the end."""
        connection, exchange = self._connection, self.client_stream.exchange
        if exchange is not None and self.body.pass_on(exchange) and connection.body_reader is self:
            self._ended()
            body = self.body
            rules = self._context.rules
            exchange.request_end(rules.check_trailers(body.trailers, body.nominated))

    def _ended(self) -> None:
        """All of the body has gone its way."""
        self._connection.body_reader = self.client_stream.body_source = None

    def pause(self) -> None:
        """The guest takes no more body for now."""
        connection, body = self._connection, self.body
        if body.flows:
            body.flows = False
            if connection.state is ConnectionState.STREAMING:
                connection.pause_reading()
                body.pace.stop(self._context.monotonic())
                connection.wait(self.client_stream.response_timeout)

    def resume(self) -> None:
        """The guest takes body."""
        connection, body = self._connection, self.body
        if body.flows:
            return
        body.flows = True
        self.pass_on()
        if body.flows and connection.state is ConnectionState.STREAMING:
            if not self.waits:
                connection.resume_reading()
            body.pace.start(self._context.monotonic())
            connection.wait_for_pace()

    # The socket is lent (L{subproxy.frontend.client_socket}).

    def lend(self, least: int, then: Callable[[int, int], None]) -> bool:
        """Lend the receiving side, if the client still has enough to send."""
        connection, body = self._connection, self.body
        if (
            connection.state is not ConnectionState.STREAMING
            or not body.flows
            or connection.receiving in (ReceivingState.LENT, ReceivingState.ENDED)
            or body.left < least
        ):
            return False

        def quiet(data: bytes) -> None:
            if (
                connection.receiving is not ReceivingState.LENT
                or connection.body_reader is not self
            ):
                return
            if data:
                self.came(data)
            # That the guest pauses for what was held does not matter: who moves the rest waits.
            if (
                connection.receiving is ReceivingState.LENT
                and connection.body_reader is self
                and body.left >= least
            ):
                then(connection.transport.fileno(), body.left)
            else:
                self.returned()

        connection.lend_receiving(quiet)
        return True

    def resume_lent(self) -> None:
        """Go on with a body that the guest takes, while the receiving side is lent already."""
        self.body.flows = True
        self.body.pace.start(self._context.monotonic())
        self._connection.wait_for_pace()

    def moved(self, amount: int) -> None:
        """Some of the body went its way."""
        self.body.moved(amount)

    def stalled(self, stalled: bool) -> None:
        """It is the guest that stops the body; or not."""
        pace = self.body.pace
        (pace.stop if stalled else pace.start)(self._context.monotonic())

    def returned(self) -> None:
        """The receiving side is the connection's again."""
        connection = self._connection
        if connection.receiving is not ReceivingState.LENT:
            return
        connection.receive(ReceivingState.PAUSED)
        if connection.body_reader is not self or connection.state is not ConnectionState.STREAMING:
            return
        if self.body.complete:
            connection.go(ConnectionState.ANSWERING)
            connection.wait(self.client_stream.response_timeout)
            self.pass_on()
            connection.resume_reading()
        elif self.body.flows:
            connection.resume_reading()
