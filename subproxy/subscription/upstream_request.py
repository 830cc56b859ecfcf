"""
One exchange on one channel, as the exchange sees it: who carries its request to the guest.

Its body goes in frames, or by a L{RequestTransfer} over a data connection; its answer likewise.

Compiled a second time: L{subproxy.fastpath._client_tunnel} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from zope.interface import implementer

from subproxy.core.exchange import Exchange
from subproxy.core.interfaces import IUpstreamRequest
from subproxy.errors import (
    ClientError,
    GuestFailure,
    GuestMisbehaved,
    GuestSlow,
    ProxyError,
    TunnelIdle,
)
from subproxy.subscription.bodies.transfer import RequestTransfer, ResponseTransfer
from subproxy.subscription.buffer_account import BufferPart
from subproxy.subscription.interfaces import RequestChannel
from subproxy.wire.fields import Headers

ABORT_CODES: tuple[tuple[type[ProxyError], bytes], ...] = (
    (ClientError, b"client"),
    (GuestSlow, b"timeout"),
    (TunnelIdle, b"timeout"),
    (GuestMisbehaved, b"protocol"),
)
"""What C{abort} tells a guest, by the error that ended its exchange; otherwise C{error}."""


@implementer(IUpstreamRequest)
class UpstreamRequest:
    """
    One exchange on one channel.

    @ivar identity: which VM is asked.
    @ivar number: that of the exchange on the wire.
    @ivar upload: its request body, if that goes over a data connection.
    @ivar download: its response body, likewise.
    @ivar held: what of its interim responses the client does not take.
    """

    __slots__ = (
        "_channel",
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
        self.held: BufferPart | None = None

    @property
    def streams(self) -> bool:
        """The request's body goes in frames as the guest grants credit."""
        return self.exchange.body is None and self.upload is None

    def release(self) -> None:
        """The exchange is over here: so are its data connections, but for those it is done with."""
        if self.held is not None:
            self.held.set(0)
        for body in (self.upload, self.download):
            if body is not None:
                body.release()

    def sendBody(self, data: bytes) -> None:
        """See L{IUpstreamRequest}."""
        channel = self._channel
        if self.upload is not None:
            self.upload.write(data)
            return
        if channel.wire.write_body(self.number, data) or channel.congested:
            self.exchange.pause_request()
        channel.flush()

    def endBody(self, trailers: Headers) -> None:
        """See L{IUpstreamRequest}."""
        if self.upload is not None:
            self.upload.end(trailers)
        else:
            self._channel.wire.end_body(self.number, trailers)
        self._channel.flush()

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
        self._channel.wire.end_body(self.number, trailers, {b"length": size})

    def transfer_complete(self, trailers: Headers) -> None:
        """All of the response body has come, and its end."""
        self._channel.complete(self, trailers)

    def transfer_broke(self, error: GuestFailure) -> None:
        """The data connection failed, and so does the exchange."""
        self._channel.broke(self, error)

    def transfer_misbehaved(self, error: GuestMisbehaved) -> None:
        """The guest broke a rule in this exchange."""
        self._channel.misbehaved(self, error)
