"""
The bodies of a connection's exchanges: what we send of ours, and the credit for theirs.

Compiled a second time: L{subproxy.fastpath._client_tunnel} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from subproxy.wire import messages as m
from subproxy.wire.errors import LocalProtocolError, TooLarge
from subproxy.wire.exchange import WireExchange
from subproxy.wire.fields import Headers, Info
from subproxy.wire.frames import Piece, encoded_pieces, framed_size
from subproxy.wire.limits import Limits
from subproxy.wire.states import Event, Half, Role

_UNDER_WAY = (Half.STREAMING, Half.BULK, Half.RAW)


class WireBodies:
    """
    The exchanges of one connection, and what they say of bodies.

    @ivar role: who we are.
    @ivar peer_limits: what the peer takes, once it has greeted.
    @ivar exchanges: those that are under way, by number.
    """

    def __init__(self, role: Role) -> None:
        self.role = role
        self.peer_limits = Limits()
        self.exchanges: dict[int, WireExchange] = {}
        self._out: list[Piece] = []
        self._most = framed_size(self.peer_limits.frame)

    def write_body(self, number: int, data: bytes) -> int:
        """
        Send C{data} as far as there is credit; the rest waits for it.

        @return: how many bytes wait now: a caller should pause unless it is 0.
        @raise LocalProtocolError: the exchange has no streamed body of ours under way.
        """
        exchange = self._exchange(number)
        if exchange.ours is Half.BULK:
            exchange.sent(Event.BODY)
        if exchange.ours is not Half.STREAMING or exchange.ending is not None:
            raise LocalProtocolError(f"exchange {number}: no body when {exchange.ours.name}")
        self._write_pieces(exchange, exchange.sending.write(data))
        return exchange.sending.pending

    def framed_end(self, number: int) -> Info:
        """
        What the end of our body says, which was to go over a data connection, and goes in frames.

        Of one that turns out to be empty there is no frame that tells so: its length does.
        """
        return {b"length": 0} if self._exchange(number).ours is Half.BULK else {}

    def end_body(
        self, number: int, trailers: Headers | None = None, info: Info | None = None
    ) -> None:
        """
        End our body: a streamed one when all that waits has gone, one over a data connection now.

        @raise LocalProtocolError: the exchange has no such body of ours under way.
        """
        exchange = self._exchange(number)
        trailers, info = trailers or [], info or {}
        if exchange.ours not in _UNDER_WAY or exchange.ending is not None:
            raise LocalProtocolError(f"exchange {number}: no end when {exchange.ours.name}")
        exchange.check_end(trailers, info)
        ending = m.End(number, trailers, info).encode()
        self._check_size([ending])
        exchange.ending = ending
        self._write_pieces(exchange, [])

    def move_body(self, number: int) -> list[Piece]:
        """
        Say C{move}: what follows of our half of a tunnel goes over its data connection.

        @return: what waited for credit, which goes there first. If an end waited for that,
            L{end_body} is to be called again, with the length.
        @raise LocalProtocolError: the tunnel, or our half of it, is not so far.
        """
        exchange = self._exchange(number)
        self._out += m.Move(number, exchange.move()).pieces()
        return exchange.take_unsent()

    def take_unsent(self, number: int) -> list[Piece]:
        """
        What waits of our half of a tunnel that was accepted for a data connection at once.

        As of L{move_body}, also where that went with an end.

        @raise LocalProtocolError: it has no such half under way.
        """
        return self._exchange(number).take_unsent()

    def _write_pieces(self, exchange: WireExchange, pieces: list[Piece]) -> None:
        for piece in pieces:
            self._out += encoded_pieces([b"body", exchange.number, piece])
        if exchange.tunnel is not None:
            exchange.tunnel.sent += sum(map(len, pieces))
        if exchange.ending is not None and not exchange.sending.pending:
            self._out.append(exchange.ending)
            exchange.ending = None
            exchange.sent(Event.END)
            self._settle(exchange)

    def consumed(self, number: int, amount: int) -> None:
        """C{amount} bytes of the peer's body are out of our hands: grant credit when it is time."""
        exchange = self.exchanges.get(number)
        if exchange is None or exchange.theirs not in (Half.STREAMING, Half.BULK):
            return
        grant = exchange.receiving.consumed(amount)
        if grant:
            self._out += m.Credit(number, grant).pieces()

    def pending(self, number: int) -> int:
        """How many bytes of our body wait for credit."""
        exchange = self.exchanges.get(number)
        return 0 if exchange is None else exchange.sending.pending

    def _check_size(self, pieces: list[Piece]) -> None:
        size = sum(map(len, pieces))
        if size > self._most:
            raise TooLarge(f"{size} bytes, where frames of {self.peer_limits.frame} are taken")

    def _exchange(self, number: int) -> WireExchange:
        try:
            return self.exchanges[number]
        except KeyError:
            raise LocalProtocolError(f"exchange {number} is not under way") from None

    def _settle(self, exchange: WireExchange) -> None:
        """
        Forget an exchange whose response is complete; a tunnel when both halves are.

        A request body of which the response did not want the rest is of no use any more:
        frames that are still under way for it are ignored.
        """
        response, request = exchange.ours, exchange.theirs
        if self.role is Role.PROXY:
            response, request = request, response
        if response is Half.DONE and (exchange.tunnel is None or request is Half.DONE):
            self.exchanges.pop(exchange.number, None)
