"""
The client's socket, lent to whoever moves a body between it and a guest's without us.

What the connection wants to know of a body (how much moved, who is waited for) it is told
here, as it is by its transport when it moves the body itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from zope.interface import implementer

from subproxy.core.interfaces import IClientSocket
from subproxy.frontend.interfaces import IBodySource, IClientConnection
from subproxy.telemetry.close_reason import CloseReason


class ILendingStream(Protocol):
    """
    An exchange whose bodies may go over a lent socket.

    @ivar sent: bytes of response body that were written, without framing.
    """

    sent: int

    @property
    def plain(self) -> bool:
        """The response body is written as it comes: by its length, without chunks."""

    @property
    def body_source(self) -> IBodySource | None:
        """What reads the body of the request, while there is some to come."""


@implementer(IClientSocket)
class ClientSocket:
    """The socket of C{connection}, for the bodies of C{client_stream}'s exchange."""

    __slots__ = ("_body_source", "_client_stream", "_connection")

    def __init__(self, connection: IClientConnection, client_stream: ILendingStream) -> None:
        self._connection = connection
        self._client_stream = client_stream
        self._body_source: IBodySource | None = None  # who has lent the receiving side

    def lendSending(self, then: Callable[[int], None]) -> bool:
        """See L{IClientSocket}."""
        return self._client_stream.plain and self._connection.lendSending(then)

    def sent(self, amount: int) -> None:
        """See L{IClientSocket}."""
        self._client_stream.sent += amount

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
        """See L{IClientSocket}."""
        source = self._client_stream.body_source
        if source is None:
            return False
        # Before it is lent: it may be given back at once.
        self._body_source = source
        return source.lend(least, then)

    def lent_by(self, source: IBodySource) -> None:
        """C{source} has lent its receiving side already."""
        self._body_source = source

    def received(self, amount: int) -> None:
        """See L{IClientSocket}."""
        if self._body_source is not None:
            self._body_source.moved(amount)

    def stalled(self, stalled: bool) -> None:
        """See L{IClientSocket}."""
        if self._body_source is not None:
            self._body_source.stalled(stalled)

    def returned(self) -> None:
        """See L{IClientSocket}."""
        if self._body_source is not None:
            self._body_source.returned()
