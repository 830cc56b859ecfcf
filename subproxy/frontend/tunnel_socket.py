"""
The client's socket, lent to whoever moves both halves of a tunnel without us.

As L{subproxy.frontend.client_socket} for bodies; here nobody knows how much is to come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from zope.interface import implementer

from subproxy.core.interfaces import IClientSocket
from subproxy.frontend.client_tunnel import ClientTunnel
from subproxy.telemetry.close_reason import CloseReason


class TunnelLender(Protocol):
    """The connection of the client, as this wants it."""

    def lendSending(self, then: Callable[[int], None]) -> bool:
        """Lend the sending side when all that was written has left."""

    def pauseProducing(self) -> None:
        """The client does not take what is written."""

    def resumeProducing(self) -> None:
        """All that was written has left."""

    def close(self, reason: CloseReason) -> None:
        """Close, in the manner that the reason has."""


class ISentBytes(Protocol):
    """
    Who counts what was written.

    @ivar sent: bytes, without framing.
    """

    sent: int


@implementer(IClientSocket)
class TunnelSocket:
    """The socket of C{connection}, for C{tunnel}, whose exchange C{client_stream} has."""

    __slots__ = ("_client_stream", "_connection", "_tunnel")

    def __init__(
        self, connection: TunnelLender, tunnel: ClientTunnel, client_stream: ISentBytes
    ) -> None:
        self._connection = connection
        self._tunnel = tunnel
        self._client_stream = client_stream

    def lendSending(self, then: Callable[[int], None]) -> bool:
        """See L{IClientSocket}."""
        return self._connection.lendSending(then)

    def sent(self, amount: int) -> None:
        """See L{IClientSocket}."""
        self._client_stream.sent += amount
        self._tunnel.passed()

    def blocked(self, blocked: bool) -> None:
        """See L{IClientSocket}."""
        if blocked:
            self._connection.pauseProducing()
        else:
            self._connection.resumeProducing()

    def broke(self) -> None:
        """See L{IClientSocket}."""
        self._connection.close(CloseReason.SOCKET_BROKE)

    def lendReceiving(self, least: int, then: Callable[[int, int], None]) -> bool:
        """See L{IClientSocket}: C{then} is told that C{least} bytes are to come, or any number."""
        return self._tunnel.lend(lambda source: then(source, least))

    def received(self, amount: int) -> None:
        """See L{IClientSocket}."""
        self._tunnel.passed()

    def stalled(self, stalled: bool) -> None:
        """See L{IClientSocket}: no pace is kept."""

    def returned(self) -> None:
        """See L{IClientSocket}."""
        self._tunnel.returned()
