"""A request that is all here, over an idle connection; and its answer, if that comes whole."""

from __future__ import annotations

from guest.core.errors import RequestAborted
from guest.core.exchange import GuestExchange
from guest.core.exchanges import Exchanges
from guest.sidecar.bridge import ProgramBridge
from guest.sidecar.connection import ProgramConnection
from guest.sidecar.exchange import ProgramResponse, unusual_reason
from guest.sidecar.fields import end_to_end
from subproxy.wire.whole import WholeRequest


class WholeProgramExchange:
    """
    One of them, until its answer is here, or can be seen to come in pieces, or not at all: then the
    bridge goes on with it.
    """

    __slots__ = ("_body", "_bridge", "_connection", "_exchange", "_exchanges", "_head")
    _head: bytes
    _body: bytes

    def __init__(
        self,
        bridge: ProgramBridge,
        exchanges: Exchanges,
        exchange: GuestExchange,
        connection: ProgramConnection,
    ) -> None:
        self._bridge = bridge
        self._exchanges = exchanges
        self._exchange = exchange
        self._connection = connection

    def ask(self, found: WholeRequest) -> None:
        """Send the request."""
        connection = self._connection
        self._head, self._body = self._bridge.whole_head(found), found[5]
        self._exchange.closed = self._left
        connection.begin(found[1])
        connection.observer = self._came
        connection.write(self._head + self._body)

    def _left(self, reason: RequestAborted) -> None:
        """Nobody waits for the answer any more."""
        self._connection.observer = None
        self._connection.abort()

    def _came(self) -> None:
        """Some of the answer is here, or the connection is gone."""
        connection, exchange, exchanges = self._connection, self._exchange, self._exchanges
        if not connection.told:
            return  # of its head
        connection.observer = None
        exchange.closed = None
        answer = connection.whole()
        if answer is None:
            request = exchange.request
            going_on = self._bridge.go_on(request, connection, self._head, self._body)
            exchanges.answer_later(exchange, going_on)
            return
        head, data, end = answer
        self._bridge.give_back(connection)
        fields = end_to_end(head.headers)
        reason = unusual_reason(head)
        if reason is None and not end.trailers:
            exchanges.answer(exchange, head.status, fields, data, ProgramResponse)
        else:
            response = ProgramResponse(head.status, fields, data, end.trailers, reason)
            exchanges.respond(exchange, response)
        exchanges.flush()
