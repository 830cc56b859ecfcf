"""What can go wrong before a listener exists, each as one line for a person."""

from __future__ import annotations

from twisted.internet.error import CannotListenError

__all__ = ["CannotListenAt", "HandshakeFailed"]


class CannotListenAt(CannotListenError):
    """A listener could not be made; its text is one line: where, and why.

    A subclass of Twisted's own error, whose text for anything but TCP reads
    C{any:b'/tmp/...'}.
    """

    def __init__(self, where: str, why: str) -> None:
        super().__init__(None, where, why)  # type: ignore[no-untyped-call]
        self.where = where
        self.why = why

    def __str__(self) -> str:
        return f"Couldn't listen on {self.where}: {self.why}."


class HandshakeFailed(ConnectionError):
    """A VMM did not answer C{CONNECT <port>} with C{OK <number>} in time and within bounds."""
