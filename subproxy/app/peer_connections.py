"""What a proxy needs of its connections with others when it ends, or hands over."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredList


class PeerConnections(Protocol):
    """
    Other workers (C{PeerLinks}), or other hosts (C{HostLinks}).

    @ivar alone: this one ends, and the others do not.
    """

    alone: bool

    def drain(self) -> None:
        """Let nobody ask anything new: another process is there for that."""

    def ask_no_more(self) -> None:
        """Clients of this one want nothing more, as far as can be told."""

    def when_idle(self) -> Deferred[Any]:
        """Fires when nobody waits for an answer."""

    def leave(self) -> Deferred[Any]:
        """Ask nobody any more; fires when nobody will ask here."""


class HostsAndWorkers:
    """
    Both, of a worker: what other hosts ask may need other workers.

    @ivar hosts: the connections with other hosts.
    @ivar workers: those with other workers.
    """

    def __init__(self, hosts: PeerConnections, workers: PeerConnections) -> None:
        self.hosts = hosts
        self.workers = workers

    @property
    def alone(self) -> bool:
        """See L{PeerConnections}."""
        return self.workers.alone

    @alone.setter
    def alone(self, alone: bool) -> None:
        self.workers.alone = alone

    def drain(self) -> None:
        """See L{PeerConnections}."""
        self.hosts.drain()
        self.workers.drain()

    def ask_no_more(self) -> None:
        """See L{PeerConnections}."""
        self.hosts.ask_no_more()
        self.workers.ask_no_more()

    def when_idle(self) -> Deferred[Any]:
        """See L{PeerConnections}."""
        return DeferredList([self.hosts.when_idle(), self.workers.when_idle()])

    def leave(self) -> Deferred[Any]:
        """See L{PeerConnections}."""
        return self.hosts.leave().addBoth(lambda _: self.workers.leave())
