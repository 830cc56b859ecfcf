"""
The client's socket, lent to whoever moves a body between it and a guest's without us.

What the connection wants to know of a body (how much moved, who is waited for) it is told
here, as it is by its transport when it moves the body itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from zope.interface import implementer

from subproxy.core.interfaces import IClientSocket

if TYPE_CHECKING:
    from subproxy.frontend.client_stream import ClientStream
    from subproxy.frontend.http1.protocol import Http1Protocol
    from subproxy.frontend.request_body_reader import RequestBodyReader


@implementer(IClientSocket)
class ClientSocket:
    """The socket of C{connection}, for the bodies of C{client_stream}'s exchange."""

    __slots__ = ("_body_reader", "_client_stream", "_connection")

    def __init__(self, connection: Http1Protocol, client_stream: ClientStream) -> None:
        self._connection = connection
        self._client_stream = client_stream
        self._body_reader: RequestBodyReader | None = None  # who has lent the receiving side

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
        self._connection.abort()

    def lendReceiving(self, least: int, then: Callable[[int, int], None]) -> bool:
        """See L{IClientSocket}."""
        body_reader = self._connection.body_reader
        if body_reader is None or body_reader.client_stream is not self._client_stream:
            return False
        # Before it is lent: it may be given back at once.
        self._body_reader = body_reader
        return body_reader.lend(least, then)

    def received(self, amount: int) -> None:
        """See L{IClientSocket}."""
        if self._body_reader is not None:
            self._body_reader.moved(amount)

    def stalled(self, stalled: bool) -> None:
        """See L{IClientSocket}."""
        if self._body_reader is not None:
            self._body_reader.stalled(stalled)

    def returned(self) -> None:
        """See L{IClientSocket}."""
        if self._body_reader is not None:
            self._body_reader.returned()
