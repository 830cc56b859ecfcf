"""A L{ClientStream} whose client speaks HTTP/2: gRPC, and clients that take small heads alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from subproxy.core.exchange import ResponseHead
from subproxy.errors import (
    ClientError,
    GuestMisbehaved,
    NotImplementedHere,
    ProxyError,
    UpgradeRequired,
)
from subproxy.frontend.client_stream import ClientStream, ResponseState
from subproxy.frontend.http2.response_encoder import list_size

_GRPC = b"application/grpc"
_UNAVAILABLE: Final = b"14"
_OVERLOADED: Final = frozenset({502, 503, 504})
"""Statuses for which a client of gRPC is told that it may come again."""

_OF_HTTP_1: Final = frozenset({b"Upgrade", b"Connection"})
_OWN_FIELDS = 256
"""What our own fields of a response count at most, as lists are counted."""


class Http2ClientStream(ClientStream):
    """
    The response sink of one request.

    @ivar most_fields: the largest list of fields that the client takes; None if it did not say.
    @ivar hold: is told by how many bytes more, or fewer, of the body wait here.
    """

    __slots__ = ("hold", "most_fields")

    most_fields: int | None
    hold: Callable[[int], None]

    def bodyReceived(self, data: bytes) -> None:
        """Write some body, or let it wait."""
        before = len(self._late)
        super().bodyReceived(data)
        if len(self._late) != before:
            self.hold(len(self._late) - before)

    def _put_late(self) -> None:
        """Write what the client did not take when it came."""
        late = len(self._late)
        super()._put_late()
        if late:
            self.hold(-late)

    def responseStarted(self, head: ResponseHead, body: bytes | None) -> None:
        """Write the head, if the client takes one of that size, and can't take it for a tunnel."""
        if head.status == UpgradeRequired.status:
            # Our own page has fields of HTTP/1.1; those of guests have none by now.
            head.headers = [pair for pair in head.headers if pair[0] not in _OF_HTTP_1]
        if not self._too_large(head) and not (
            self.request.upgrade is not None
            and 200 <= head.status < 300
            and self._fails(NotImplementedHere("the application did not change to that protocol"))
        ):
            super().responseStarted(head, body)

    def tunnelStarted(self, head: ResponseHead, protocol: bytes) -> None:
        """Tell the client, if it takes a head of that size."""
        if not self._too_large(head):
            super().tunnelStarted(head, protocol)

    def _too_large(self, head: ResponseHead) -> bool:
        """Whether the client does not take C{head}: the exchange has failed."""
        most = self.most_fields
        return (
            most is not None
            and not _fits(head, most)
            and self._fails(GuestMisbehaved("more fields than the client takes"))
        )

    def _fails(self, error: ProxyError) -> bool:
        """Have the exchange fail, if it has not, and nothing was answered."""
        exchange = self.exchange
        if (
            self.answer is not ResponseState.WAITING
            or exchange is None
            or exchange.state is exchange.state.DONE
        ):
            return False
        exchange.fail(error)
        return True

    def responseFailed(self, error: ProxyError) -> None:
        """
        Write an error page; for gRPC a status that its clients try again after.

        REFUSED_STREAM would say the same, but is not retried by grpcio, httpx, undici and Java.
        """
        if (
            self.answer is ResponseState.WAITING
            and not isinstance(error, ClientError)
            and error.status in _OVERLOADED
            and self._is_grpc()
        ):
            fields = [
                (b"Content-Type", _GRPC),
                (b"grpc-status", _UNAVAILABLE),
                (b"grpc-message", type(error).__name__.encode("ascii")),
            ]
            self.responseStarted(ResponseHead(200, b"", fields, None, True), b"")
            return
        super().responseFailed(error)

    def _is_grpc(self) -> bool:
        for name, value in self.request.headers:
            if len(name) == 12 and name.lower() == b"content-type":
                return value.lower().startswith(_GRPC)
        return False


def _fits(head: ResponseHead, most: int) -> bool:
    return list_size(head.headers) + _OWN_FIELDS <= most
