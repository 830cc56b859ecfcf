"""The sidecar as an application of the guest's core."""

from __future__ import annotations

from guest.core.exchange import GuestExchange
from guest.core.exchanges import Exchanges
from guest.sidecar.bridge import ProgramBridge
from guest.sidecar.whole_exchange import WholeProgramExchange
from subproxy.wire.whole import WholeRequest


class ProgramAdapter:
    """
    Has requests answered by a program (L{guest.core.exchanges.ExchangeAdapter}).

    Most requests come whole, and most of their answers do: those have neither a coroutine nor a
    L{Request<guest.core.request.Request>}. What is not so is for the bridge.
    """

    lower_names = False

    def __init__(self, bridge: ProgramBridge) -> None:
        self._bridge = bridge

    def whole(self, exchanges: Exchanges, found: WholeRequest) -> None:
        """Answer a request that is all here."""
        exchange = exchanges.promote(found)
        # The length of an answer to HEAD is no length of bytes that come.
        method = found[1]
        connection = None if method == b"HEAD" else self._bridge.idle_connection(method)
        if connection is None:
            exchanges.answer_later(exchange, self._bridge.answer(exchange.request))
        else:
            WholeProgramExchange(self._bridge, exchanges, exchange, connection).ask(found)

    def begun(self, exchanges: Exchanges, exchange: GuestExchange) -> None:
        """Answer a request whose body is to come, or that is unusual in another way."""
        exchanges.answer_later(exchange, self._bridge.answer(exchange.request))
