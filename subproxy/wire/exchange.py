"""The wire's view of one exchange: the two halves, and the credit of each."""

from __future__ import annotations

from subproxy.wire.credit import ReceiveWindow, SendWindow
from subproxy.wire.errors import ExchangeError, LocalProtocolError
from subproxy.wire.fields import Headers, Info
from subproxy.wire.frames import Piece
from subproxy.wire.states import REQUEST, RESPONSE, Event, Half, Role, Tunnel
from subproxy.wire.tunnel import WireTunnel, accepted


class WireExchange:
    """
    One exchange on one connection.

    @ivar number: its number on that connection.
    @ivar ours: the half that we send: the request's for the proxy, the response's for a guest.
    @ivar theirs: the half that the peer sends.
    @ivar sending: credit for our body.
    @ivar receiving: credit for theirs.
    @ivar ending: the frame that ends our body, while a part of that waits for credit.
    @ivar tunnel: of a tunnel that has not been refused: how far it is.
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
        "tunnel",
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
        self.tunnel: WireTunnel | None = None

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

    # Heads, ends and moves: a tunnel has rules of its own for them (docs/protocol.md, "Tunnels").

    def response_came(self, status: int, head: Event) -> None:
        """
        A final response came, and with C{head} its body.

        @raise ExchangeError: it is not allowed.
        """
        tunnel = self.tunnel
        if tunnel is None:
            self.came(head)
            return
        event = accepted(status, head)
        self.came(event or head)
        if event is None:
            self.tunnel = None
            return
        if event is Event.DIRECT:
            if self.sending.available or tunnel.sent:
                raise ExchangeError(self.number, "a dictionary after credit was granted")
            if self.ours is not Half.DONE:
                self.sent(event)
        tunnel.go(event)

    def response_sent(self, status: int, head: Event) -> None:
        """
        A final response is about to be sent, and with C{head} its body.

        @raise LocalProtocolError: it is not allowed.
        """
        tunnel = self.tunnel
        if tunnel is None:
            self.sent(head)
            return
        event = accepted(status, head)
        if event is Event.DIRECT and (self.receiving.left or tunnel.received):
            raise LocalProtocolError("a dictionary after credit was granted")
        self.sent(event or head)
        if event is None:
            self.tunnel = None
            return
        if event is Event.DIRECT and self.theirs is not Half.DONE:
            self.came(event)
        tunnel.go(event)

    def resume_tunnel(self, sent: int, available: int, received: int, left: int, owed: int) -> None:
        """
        Our peer has accepted, and bytes have passed in frames, elsewhere (subproxy.fastpath).

        @param sent: bytes of our half; we may send so many C{available} ones more.
        @param received: bytes of theirs; they may send so many C{left} ones more.
        @param owed: bytes of those C{received} that are not L{ReceiveWindow.consumed} yet.
        """
        self.response_came(200, Event.STREAM)
        assert self.tunnel is not None
        self.tunnel.sent, self.tunnel.received = sent, received
        self.sending.available = available
        self.receiving = ReceiveWindow(self.receiving.size, left + owed)
        self.receiving.received(owed)

    def connect_came(self) -> None:
        """
        The proxy offers a data connection.

        A half may have moved by an earlier offer, since a claim is answered on another connection:
        then this one was on its way, and changes nothing.

        @raise ExchangeError: of a tunnel that is not so far.
        """
        if self.tunnel is None or self.tunnel.state is Tunnel.MOVING:
            return
        if not self.tunnel.go(Event.CONNECT):
            raise ExchangeError(self.number, f"no connect is allowed when it is {self.tunnel}")

    def connect_sent(self) -> None:
        """
        We offer a data connection.

        @raise LocalProtocolError: for a tunnel that is not so far, or has moved.
        """
        if self.tunnel is not None and not self.tunnel.go(Event.CONNECT):
            raise LocalProtocolError(f"exchange {self.number}: no connect when it is {self.tunnel}")

    def move_came(self, length: int) -> None:
        """
        The peer's half has moved; C{length} bytes of it came in frames.

        @raise ExchangeError: it can't, or that is wrong.
        """
        if self.tunnel is None or not self.tunnel.go(Event.MOVE):
            raise ExchangeError(self.number, f"no move is allowed when it is {_name(self.tunnel)}")
        self.came(Event.MOVE)
        if length != self.tunnel.received:
            raise ExchangeError(self.number, "move tells of another length")

    def move(self) -> int:
        """
        Our half moves; return how many bytes of it went in frames.

        @raise LocalProtocolError: it can't.
        """
        if self.tunnel is None or self.ours is not Half.STREAMING or not self.tunnel.go(Event.MOVE):
            raise LocalProtocolError(
                f"exchange {self.number}: no move when it is {_name(self.tunnel)}, {self.ours.name}"
            )
        self.sent(Event.MOVE)
        return self.tunnel.sent

    def take_unsent(self) -> list[Piece]:
        """
        Take what waits for credit out of our half, and its end.

        @raise LocalProtocolError: no data connection carries it.
        """
        if self.ours is not Half.RAW:
            raise LocalProtocolError(f"exchange {self.number} is {self.ours.name}, not raw")
        self.ending = None
        return self.sending.take()

    def end_came(self, trailers: Headers, info: Info) -> None:
        """
        The peer's half has ended.

        @raise ExchangeError: it can't, or not so.
        """
        if self.tunnel is not None:
            fault = self.tunnel.end_fault(self.theirs, self.tunnel.received, trailers, info)
            if fault:
                raise ExchangeError(self.number, fault)
        self.came(Event.END)

    def check_end(self, trailers: Headers, info: Info) -> None:
        """
        Our half is to end so.

        @raise LocalProtocolError: a tunnel can't.
        """
        if self.tunnel is not None:
            fault = self.tunnel.end_fault(self.ours, self.tunnel.sent, trailers, info)
            if fault:
                raise LocalProtocolError(f"exchange {self.number}: {fault}")


def _name(tunnel: WireTunnel | None) -> str:
    return "no tunnel" if tunnel is None else str(tunnel)
