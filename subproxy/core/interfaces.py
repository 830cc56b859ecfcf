"""
The two sides of an exchange: what a frontend and a channel know of each other.

A frontend makes an L{Exchange<subproxy.core.exchange.Exchange>} for each request and gives
it to an L{IDispatcher<subproxy.core.exchange.IDispatcher>}. From then on the two sides meet
only through it: the frontend is its L{IResponseSink}, the channel that took it gives it an
L{IUpstreamRequest}. Who is given a whole exchange (dispatcher, channel, log) is described
beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from collections.abc import Callable

    from subproxy.core.http.response import Headers, ResponseHead
    from subproxy.errors import ProxyError


class IResponseSink(Interface):
    """
    The frontend's side of one exchange: where the response goes.

    All that arrives here has been checked (L{subproxy.core.http.response}): the head is
    well-formed, the body agrees with its length, no body follows where HTTP allows none.
    """

    supports_interim = Attribute("Whether the client understands interim responses.")
    read_size = Attribute("Bytes of a streamed body that may be read of its guest at once.")

    def interimReceived(status: int, headers: Headers) -> int:
        """
        An interim response (1xx but 101). 100 means: ask the client for its body.

        @return: how many bytes of it wait, since the client does not take what is written.
        """

    def responseStarted(head: ResponseHead, body: bytes | None) -> None:
        """
        The final response begins.

        @param body: all of it, and nothing follows; or None, and
            C{bodyReceived}... C{responseEnded} follow.
        """

    def tunnelStarted(head: ResponseHead, protocol: bytes) -> None:
        """
        The exchange is a tunnel from now on: C{bodyReceived}... C{responseEnded} follow.

        What the client sends, and that it sends no more, is to be told to the exchange as of a
        request body; it begins as soon as the client has been told.
        """

    def bodyReceived(data: bytes) -> None:
        """
        More of a streamed response body.

        Call C{Exchange.response_consumed} with C{len(data)} when it has left
        for the client: until then the guest's credit shrinks.
        """

    def responseEnded(trailers: Headers) -> None:
        """A streamed response body is complete."""

    def responseFailed(error: ProxyError) -> None:
        """
        There is no (further) answer.

        If C{responseStarted} came before, the client must see a truncation.
        """

    def requestPaused() -> None:
        """Stop sending request body: read no more from the client."""

    def requestResumed() -> None:
        """Send request body again. A streamed request body starts paused."""

    def clientSocket() -> IClientSocket | None:
        """The socket of the client, if bodies may be moved from and to it directly."""


class IClientSocket(Interface):
    """
    A client's socket, lent to the channel's side for a while.

    Both sides of it are lent apart. The connection counts and times what moves, so it must
    be told.
    """

    def lendSending(then: Callable[[int], None]) -> bool:
        """
        Lend its sending side, for all of a response body that has not come yet.

        @param then: is given the descriptor, now or later: when all that was written has left.
        @return: whether that will be.
        """

    def sent(amount: int) -> None:
        """Count C{amount} bytes of response body that were written to the client's socket."""

    def blocked(blocked: bool) -> None:
        """Tell that the client's socket takes no more for now; or, False, that it does again."""

    def broke() -> None:
        """Tell that the client's socket takes no more, ever."""

    def lendReceiving(least: int, then: Callable[[int, int], None]) -> bool:
        """
        Lend its receiving side, for all of a request body that has not come yet.

        @param least: bytes; with fewer to come, it is not worth while.
        @param then: is given the descriptor and how many bytes are to come, now or later.
        @return: whether that may be; even then C{then} may not be called.
        """

    def received(amount: int) -> None:
        """Count C{amount} bytes of request body that were read from the client's socket."""

    def stalled(stalled: bool) -> None:
        """Tell that the guest is what holds the body up; or, False, that it is the client again."""

    def returned() -> None:
        """Its receiving side is the connection's again. To call it once more does nothing."""


class IUpstreamRequest(Interface):
    """The channel's side of one exchange: who carries its request to the guest."""

    def sendBody(data: bytes) -> None:
        """Send more of a streamed request body, at most as much as was read in one turn."""

    def endBody(trailers: Headers) -> None:
        """The streamed request body is complete."""

    def cancel(error: ProxyError) -> None:
        """Tell the guest that nobody waits for this answer any more, and forget it."""

    def consumed(amount: int) -> None:
        """C{amount} bytes of response body have left for the client: grant credit for them."""
