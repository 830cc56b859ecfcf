"""
The data connection of a body to another worker, lent to the guest's side: the kernel moves it.

Between workers it is a plain socket, as that of a client is. What comes over TLS is never lent.
"""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from subproxy.core.interfaces import IClientSocket
from subproxy.frontend.peer.peer_download import PeerDownload
from subproxy.frontend.peer.peer_upload import PeerUpload


@implementer(IClientSocket)
class PeerSocket:
    """
    One of an exchange, of which either body goes over a data connection, or both.

    @param download: of the answer.
    @param upload: of the request.
    """

    def __init__(self, download: PeerDownload | None, upload: PeerUpload | None) -> None:
        self._download = download
        self._upload = upload

    def lendSending(self, then: Callable[[int], None]) -> bool:
        """See C{IClientSocket}: -1 where the body goes in frames after all."""
        return self._download is not None and self._download.lend(then)

    def sent(self, amount: int) -> None:
        """See C{IClientSocket}."""
        if self._download is not None:
            self._download.moved(amount)

    def blocked(self, blocked: bool) -> None:
        """See C{IClientSocket}: who has the client looks at that."""

    def broke(self) -> None:
        """See C{IClientSocket}."""
        if self._download is not None:
            self._download.broke()

    def lendReceiving(self, least: int, then: Callable[[int, int], None]) -> bool:
        """See C{IClientSocket}."""
        return self._upload is not None and self._upload.lend(least, then)

    def received(self, amount: int) -> None:
        """See C{IClientSocket}."""
        if self._upload is not None:
            self._upload.moved(amount)

    def stalled(self, stalled: bool) -> None:
        """See C{IClientSocket}: who has the client looks at that."""

    def returned(self) -> None:
        """See C{IClientSocket}."""
        if self._upload is not None:
            self._upload.returned()
