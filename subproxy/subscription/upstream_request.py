"""
One exchange on one channel, as the exchange sees it: who carries its request to the guest.

Its body goes in frames, or by a L{RequestTransfer} over a data connection; its answer likewise.

Compiled a second time: L{subproxy.fastpath._client_tunnel} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from zope.interface import implementer

from subproxy.core.exchange import Exchange
from subproxy.core.interfaces import IUpstreamRequest
from subproxy.core.printable import printable
from subproxy.errors import (
    ClientError,
    GuestFailure,
    GuestGone,
    GuestMisbehaved,
    GuestRefused,
    GuestSlow,
    ProxyError,
    TunnelIdle,
)
from subproxy.subscription.bodies.response_transfer import ResponseTransfer
from subproxy.subscription.bodies.transfer import RequestTransfer, TransferState
from subproxy.subscription.buffer_account import BufferPart
from subproxy.subscription.interfaces import RequestChannel
from subproxy.wire.errors import TooLarge
from subproxy.wire.fields import Headers, Info

ABORT_CODES: tuple[tuple[type[ProxyError], bytes], ...] = (
    (ClientError, b"client"),
    (GuestSlow, b"timeout"),
    (TunnelIdle, b"timeout"),
    (GuestMisbehaved, b"protocol"),
)
"""What C{abort} tells a guest, by the error that ended its exchange; otherwise C{error}."""


AHEAD = 4
"""
A response is taken to go over a data connection if one of the last so many did.

To a guest that takes it, a token for its body goes with the request then, which saves waiting for
the head before the body can come. Where it was in vain it has cost a microsecond.
"""


@implementer(IUpstreamRequest)
class UpstreamRequest:
    """
    One exchange on one channel.

    @ivar identity: which VM is asked.
    @ivar number: that of the exchange on the wire.
    @ivar upload: its request body, if that goes over a data connection.
    @ivar download: its response body, likewise.
    @ivar ahead: the same, while only its token is out, which went with the request.
    @ivar held: what of its interim responses the client does not take.
    """

    __slots__ = (
        "_channel",
        "ahead",
        "download",
        "exchange",
        "held",
        "identity",
        "number",
        "upload",
    )

    def __init__(self, channel: RequestChannel, number: int, exchange: Exchange) -> None:
        self._channel = channel
        self.identity = channel.identity
        self.number = number
        self.exchange = exchange
        self.upload: RequestTransfer | None = None
        self.download: ResponseTransfer | None = None
        self.ahead: ResponseTransfer | None = None
        self.held: BufferPart | None = None

    @property
    def streams(self) -> bool:
        """The request's body goes in frames as the guest grants credit."""
        return self.exchange.body is None and self.upload is None

    def request_sent(self, info: Info) -> None:
        """Its request has been sent with C{info}: without a token, if that would be too long."""
        if self.ahead is not None and b"ahead" not in info:
            self.ahead.release()
            self.ahead = None

    def goes_in_frames(self) -> bool:
        """Credit came for the request's body: whether that goes in frames; else it is over."""
        upload = self.upload
        if upload is None:
            return True
        if upload.way is TransferState.BROKEN:
            # It has read nothing, and knows no more than that.
            self.transfer_broke(GuestGone("the data connection of the request's body broke"))
            return False
        if not upload.frames():
            self.transfer_misbehaved(
                GuestMisbehaved("credit for a body that goes over a data connection")
            )
            return False
        self.upload = None
        return True

    def begins_ahead(self, body: bytes | Info | None) -> bool:
        """
        A response came: whether its body goes with the token of its request, which else is void.

        @param body: what is said of it there.
        @raise GuestMisbehaved: there was none, or it does not say how long it is.
        """
        ahead, self.ahead = self.ahead, None
        if not isinstance(body, dict) or body.get(b"ahead", False) is False:
            if ahead is not None:
                ahead.release()
            return False
        self.download = ahead
        if ahead is None or body[b"ahead"] is not True or b"length" not in body:
            raise GuestMisbehaved("a body with a token that its request did not have")
        return True

    def release(self) -> None:
        """The exchange is over here: so are its data connections, but for those it is done with."""
        if self.held is not None:
            self.held.set(0)
        for body in (self.upload, self.download, self.ahead):
            if body is not None:
                body.release()

    def sendBody(self, data: bytes) -> None:
        """See L{IUpstreamRequest}."""
        channel = self._channel
        if self.upload is not None:
            self.upload.write(data)
            return
        if not self._wanted:
            return
        if channel.wire.write_body(self.number, data) or channel.congested:
            self.exchange.pause_request()
        channel.flush()

    def endBody(self, trailers: Headers) -> None:
        """See L{IUpstreamRequest}."""
        if self.upload is not None:
            self.upload.end(trailers)
        else:
            self._end_body(trailers, {})
        self._channel.flush()

    @property
    def _wanted(self) -> bool:
        """Whether the guest wants more of the request: not once it has said all of its answer, of
        which some may be still to come."""
        return self.number in self._channel.wire.exchanges

    def _end_body(self, trailers: Headers, info: Info) -> None:
        if not self._wanted:
            return
        try:
            self._channel.wire.end_body(self.number, trailers, info)
        except TooLarge as error:
            self.exchange.fail(
                ClientError(f"the application cannot take its trailers: {error}", 431)
            )

    def cancel(self, error: ProxyError) -> None:
        """See L{IUpstreamRequest}."""
        code = next((code for kind, code in ABORT_CODES if isinstance(error, kind)), b"error")
        self._channel.forget(self, code, str(error).encode("utf-8", "replace"))

    def consumed(self, amount: int) -> None:
        """See L{IUpstreamRequest}."""
        if self.download is not None:
            self.download.consumed(amount)
            return
        self._channel.wire.consumed(self.number, amount)
        self._channel.flush()

    # What the transfers of its bodies call.

    def end_transfer(self, trailers: Headers, size: int) -> None:
        """All C{size} bytes of the request body have been given to a data connection."""
        self._end_body(trailers, {b"length": size})

    def transfer_complete(self, trailers: Headers) -> None:
        """All of the response body has come, and its end."""
        self._channel.complete(self, trailers)

    def transfer_broke(self, error: GuestFailure) -> None:
        """The data connection failed, and so does the exchange."""
        self._channel.broke(self, error)

    def transfer_misbehaved(self, error: GuestMisbehaved) -> None:
        """The guest broke a rule in this exchange."""
        self._channel.misbehaved(self, error)


def abort_error(code: bytes, reason: bytes) -> GuestFailure:
    """What it means that a guest has given an exchange up, with that C{abort}."""
    said = printable(reason)
    if code == b"refused":
        return GuestRefused(f"the application refused: {said}" if said else "")
    return GuestGone(f"the application gave up: {said}" if said else "")
