"""What a proxy needs of its connections with others when it ends, or hands over."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred


class PeerConnections(Protocol):
    """
    Other workers (C{PeerLinks}), or other hosts (C{HostLinks}).

    @ivar alone: this one ends, and the others do not.
    """

    alone: bool

    def drain(self) -> None:
        """Let nobody ask anything new: another process is there for that."""

    def when_idle(self) -> Deferred[Any]:
        """Fires when nobody waits for an answer."""

    def leave(self) -> Deferred[Any]:
        """Ask nobody any more; fires when nobody will ask here."""
