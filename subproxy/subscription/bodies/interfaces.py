"""What a data connection needs of those whom it serves, and of what watches it."""

from __future__ import annotations

from typing import Protocol

from zope.interface import Interface


class IBodyUser(Interface):
    """Whose body a data connection carries."""

    def bodyReceived(data: bytes) -> None:
        """More of the body."""

    def bodyComplete() -> None:
        """All of its length has come."""

    def writable() -> None:
        """All that was written has left."""

    def connectionGone() -> None:
        """The connection is closed; never called after the body is complete."""


class ConnectWatch(Protocol):
    """What looks for a C{connect} beside the transport of an idle connection."""

    def start(self) -> None:
        """Look from now on."""

    def send(self, data: bytes) -> bool:
        """Send few bytes at once; False if that can't be done."""

    def close(self) -> None:
        """Look no more."""
