"""
The client's socket, lent to whoever moves a body between it and a guest's without us.

What the connection wants to know of a body (how much moved, who is waited for) it is told
here, as it is by its transport when it moves the body itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from zope.interface import implementer

from subproxy.interfaces import IClientSocket

if TYPE_CHECKING:
    from subproxy.frontend.http1 import Http1Protocol
    from subproxy.frontend.responder import Responder
    from subproxy.frontend.uploader import Uploader


@implementer(IClientSocket)
class ClientSocket:
    """The socket of C{connection}, for the bodies of C{responder}'s exchange."""

    __slots__ = ("_connection", "_responder", "_uploader")

    def __init__(self, connection: Http1Protocol, responder: Responder) -> None:
        self._connection = connection
        self._responder = responder
        self._uploader: Uploader | None = None  # who has lent the receiving side

    def lendSending(self, then: Callable[[int], None]) -> bool:
        """See L{IClientSocket}."""
        return self._responder.plain and self._connection.lendSending(then)

    def sent(self, amount: int) -> None:
        """See L{IClientSocket}."""
        self._responder.sent += amount

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
        uploader = self._connection.uploader
        if uploader is None or uploader.responder is not self._responder:
            return False
        # Before it is lent: it may be given back at once.
        self._uploader = uploader
        return uploader.lend(least, then)

    def received(self, amount: int) -> None:
        """See L{IClientSocket}."""
        if self._uploader is not None:
            self._uploader.moved(amount)

    def stalled(self, stalled: bool) -> None:
        """See L{IClientSocket}."""
        if self._uploader is not None:
            self._uploader.stalled(stalled)

    def returned(self) -> None:
        """See L{IClientSocket}."""
        if self._uploader is not None:
            self._uploader.returned()
