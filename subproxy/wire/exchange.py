"""The wire's view of one exchange: the two halves, and the credit of each."""

from __future__ import annotations

from subproxy.wire.credit import ReceiveWindow, SendWindow
from subproxy.wire.errors import ExchangeError, LocalProtocolError
from subproxy.wire.states import REQUEST, RESPONSE, Event, Half, Role


class WireExchange:
    """
    One exchange on one connection.

    @ivar number: its number on that connection.
    @ivar ours: the half that we send: the request's for the proxy, the response's for a guest.
    @ivar theirs: the half that the peer sends.
    @ivar sending: credit for our body.
    @ivar receiving: credit for theirs.
    @ivar ending: the frame that ends our body, while a part of that waits for credit.
    """

    __slots__ = (
        "_our_table",
        "_their_table",
        "ending",
        "number",
        "ours",
        "receiving",
        "sending",
        "theirs",
    )

    def __init__(
        self, role: Role, number: int, sending: SendWindow, receiving: ReceiveWindow
    ) -> None:
        self.number = number
        self.ours = Half.WAITING
        self.theirs = Half.WAITING
        proxy = role is Role.PROXY
        self._our_table = REQUEST if proxy else RESPONSE
        self._their_table = RESPONSE if proxy else REQUEST
        self.sending = sending
        self.receiving = receiving
        self.ending: bytes | None = None

    def __repr__(self) -> str:
        return f"<WireExchange {self.number} ours={self.ours.name} theirs={self.theirs.name}>"

    def sent(self, event: Event) -> None:
        """
        Move this side's half: C{event} is about to be sent.

        @raise LocalProtocolError: the table does not allow it.
        """
        try:
            self.ours = self._our_table[self.ours][event]
        except KeyError:
            raise LocalProtocolError(
                f"exchange {self.number}: no {event.name} when {self.ours.name}"
            ) from None

    def came(self, event: Event) -> None:
        """
        The peer sent C{event}.

        @raise ExchangeError: the table does not allow it.
        """
        try:
            self.theirs = self._their_table[self.theirs][event]
        except KeyError:
            raise ExchangeError(
                self.number, f"no {event.name.lower()} is allowed when {self.theirs.name.lower()}"
            ) from None
