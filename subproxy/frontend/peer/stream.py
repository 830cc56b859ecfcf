"""
One request that another process has passed on: what its guest answers goes back as frames.

It is to an exchange what a client's stream is. What the request may be, the process that has the
client has checked; it also writes the access log.

Compiled a second time: L{subproxy.fastpath._peer} and L{subproxy.fastpath._peer_frames} (see
L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from zope.interface import implementer

from subproxy.core.exchange import Exchange, Headers, RequestHead, ResponseHead
from subproxy.core.interfaces import IResponseSink
from subproxy.core.states import TransitionTable
from subproxy.errors import GuestRefused, ProxyError
from subproxy.frontend.error_pages import error_page
from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection
from subproxy.wire.errors import TooLarge
from subproxy.wire.states import Side


class PeerAnswer(Enum):
    """Where an answer is in its life."""

    WAITING = auto()
    """Nothing of the final response has been said."""
    STREAMING = auto()
    """Its head has; its body follows in frames."""
    DONE = auto()
    """All of it has, or never will be."""


TRANSITIONS: TransitionTable[PeerAnswer] = TransitionTable(
    {
        PeerAnswer.WAITING: [PeerAnswer.STREAMING, PeerAnswer.DONE],
        PeerAnswer.STREAMING: [PeerAnswer.DONE],
        PeerAnswer.DONE: [],
    }
)


class PeerShell(Protocol):
    """
    The connection, as a request on it sees it.

    @ivar wire: its state.
    @ivar writable: the other process reads what is written.
    """

    wire: WireConnection
    writable: bool

    def flush(self) -> None:
        """Write what was said, unless a turn is under way."""

    def over(self, number: int) -> None:
        """That exchange needs nothing more."""


@implementer(IResponseSink)
class PeerStream:
    """
    See above.

    @ivar exchange: its exchange.
    @ivar answer: how far its answer is.
    """

    supports_interim = True

    def __init__(self, shell: PeerShell, number: int, request: RequestHead, body: bytes | None):
        self._shell = shell
        self._wire = shell.wire
        self._number = number
        self._owed = 0
        self._takes = False
        self._held = bytearray()
        self._trailers: Headers | None = None
        self.answer = PeerAnswer.WAITING
        self.exchange = Exchange(request, body, self)

    def _go(self, answer: PeerAnswer) -> None:
        self.answer = TRANSITIONS.move(self.answer, answer)

    # What the other process says.

    def body(self, data: bytes) -> None:
        """Some of the request's body came."""
        if self._takes and not self._held:
            self._pass(data)
        else:
            self._held += data

    def end(self, trailers: Headers) -> None:
        """The request's body is complete."""
        if self._held:
            self._trailers = trailers
        else:
            self.exchange.request_end(trailers)

    def credit(self) -> None:
        """More of the response may be said."""
        if self.answer is PeerAnswer.STREAMING and not self._wire.pending(self._number):
            self.drained()

    def drained(self) -> None:
        """The other process reads on: the guest may send as much again."""
        owed, self._owed = self._owed, 0
        if owed:
            self.exchange.response_consumed(owed)

    def cancel(self, error: ProxyError) -> None:
        """Nobody waits for the answer any more."""
        if self.answer is not PeerAnswer.DONE:
            self._go(PeerAnswer.DONE)
            self.exchange.cancel(error)

    def _pass(self, data: bytes) -> None:
        self.exchange.request_data(data)
        self._wire.consumed(self._number, len(data))

    # IResponseSink.

    def interimReceived(self, status: int, headers: Headers) -> int:
        """Pass an interim response on; what asks for the body is the credit for it."""
        if status == 100:
            self.requestResumed()
        elif self._speaks and self.answer is PeerAnswer.WAITING:
            self._wire.send(m.Response(self._number, status, headers, {}, b""))
            self._shell.flush()
        return 0

    def responseStarted(self, head: ResponseHead, body: bytes | None) -> None:
        """Say the head, and the body if it is here."""
        if self.answer is not PeerAnswer.WAITING:
            return
        headers = head.headers
        if head.length is not None and (body is None or head.bodiless):
            headers = [*headers, (b"Content-Length", b"%d" % head.length)]
        info = {b"reason": head.reason} if head.reason else {}
        self._go(PeerAnswer.STREAMING)
        if not self._speaks:
            return
        inline = body is not None and len(body) <= self._wire.peer_limits.inline
        response = m.Response(self._number, head.status, headers, info, body if inline else None)
        try:
            self._wire.send(response)
        except TooLarge:
            inline, response.body = False, None
            try:
                self._wire.send(response)
            except TooLarge:
                self._abort(b"error", b"its head is too large")
                return
        if body is not None:
            if not inline:
                self._wire.write_body(self._number, body)
                self._wire.end_body(self._number)
            self._done()
        self._shell.flush()

    def tunnelStarted(self, head: ResponseHead, protocol: bytes) -> None:
        """The guest changes to a protocol of which nobody here knows anything."""
        if self.answer is not PeerAnswer.WAITING:
            return
        self._go(PeerAnswer.STREAMING)
        if self._speaks:
            self._wire.send(m.Response(self._number, head.status, head.headers, {}, None))
        self.requestResumed()

    def bodyReceived(self, data: bytes) -> None:
        """Say some of the body, as far as there is credit."""
        if self.answer is not PeerAnswer.STREAMING or not self._speaks:
            return
        self._owed += len(data)
        if not self._wire.write_body(self._number, data) and self._shell.writable:
            self.drained()
        self._shell.flush()

    def responseEnded(self, trailers: Headers) -> None:
        """Say the end of the body."""
        if self.answer is not PeerAnswer.STREAMING:
            return
        if self._speaks:
            self._wire.end_body(self._number, trailers)
        if self.exchange.tunnel is None or self.exchange.ended:
            self._done()
        self._shell.flush()

    def responseFailed(self, error: ProxyError) -> None:
        """Say what went wrong: as the page that a client gets, or by breaking off."""
        if self.answer is PeerAnswer.WAITING and not isinstance(error, GuestRefused):
            request = self.exchange.request
            self.responseStarted(*error_page(error, request.method, request.request_id))
        elif self.answer is not PeerAnswer.DONE:
            code = b"refused" if self.answer is PeerAnswer.WAITING else b"error"
            self._abort(code, str(error).encode("utf-8", "replace")[:1024])

    def requestPaused(self) -> None:
        """Take no more of the request's body."""
        self._takes = False

    def requestResumed(self) -> None:
        """Take the request's body."""
        self._takes = True
        held, self._held = bytes(self._held), bytearray()
        if held:
            self._pass(held)
        trailers = self._trailers
        if trailers is not None and not self._held:
            self._trailers = None
            self.exchange.request_end(trailers)
        if self._speaks:
            # Where the other process waits to be asked, that is the credit for all.
            self._wire.consumed(self._number, 0)
            self._shell.flush()

    def clientSocket(self) -> None:
        """There is none: all goes in frames."""

    @property
    def _speaks(self) -> bool:
        """Whether the exchange is known on the wire, which the other process may have ended."""
        return (
            self._number in self._wire.exchanges
            and self._wire.ours in (Side.OPEN, Side.DRAINING)
            and self.answer is not PeerAnswer.DONE
        )

    def _abort(self, code: bytes, reason: bytes) -> None:
        if self._speaks:
            self._wire.send(m.Abort(self._number, code, reason))
            self._shell.flush()
        self._done()

    def _done(self) -> None:
        if self.answer is not PeerAnswer.DONE:
            self._go(PeerAnswer.DONE)
        self._shell.over(self._number)
