"""How the parent connects its workers: by socket pairs, of which each of two gets an end."""

from __future__ import annotations

import socket

from twisted.logger import Logger

from subproxy.workers.crew import Crew
from subproxy.workers.messages import ChannelMessage, PeerLink
from subproxy.workers.peer_messages import PeerData, PeerDataWanted
from subproxy.workers.slots import Worker
from subproxy.workers.states import WorkerState


class Introductions:
    """See above."""

    _log = Logger()

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._unconnected: list[tuple[Worker, Worker]] = []
        self._told = False  # that one can't be made

    def ready(self, worker: Worker) -> None:
        """
        C{worker} serves: connect it with all others, both ways.

        Those that retire ask it, too. Their guests come to those that serve, and so do guests that
        they wait for: without it a request there would wait in vain.
        """
        for other in self._crew.serving:
            if other is not worker:
                self._connect(worker, other)
                self._connect(other, worker)
        for other in self._crew.slots:
            if other.state is WorkerState.RETIRING:
                self._connect(other, worker)

    def retry(self) -> None:
        """Connect those for whom there was no descriptor, if they are still there."""
        unconnected, self._unconnected = self._unconnected, []
        for asking, serving in unconnected:
            if WorkerState.ENDED not in (asking.state, serving.state):
                self._connect(asking, serving)
        self._told = bool(self._unconnected)

    def _connect(self, asking: Worker, serving: Worker) -> None:
        try:
            one, two = socket.socketpair()
        except OSError as error:
            if not self._told:
                self._told = True
                self._log.warn("a connection between workers can't be made: {why}", why=error)
            self._unconnected.append((asking, serving))
            return
        self._crew.send(asking, PeerLink(serving.serial, True, descriptors=(one.detach(),)))
        self._crew.send(serving, PeerLink(asking.serial, False, descriptors=(two.detach(),)))

    def came(self, worker: Worker, said: ChannelMessage) -> None:
        """C{worker} says something; what is not about data connections is not for here."""
        if not isinstance(said, PeerDataWanted):
            return
        asking = self._crew.slots.get(said.serial)
        there = asking is not None and asking.state is not WorkerState.STARTING
        try:
            ends = socket.socketpair() if there else None
        except OSError as error:
            self._log.warn("a data connection between workers can't be made: {why}", why=error)
            ends = None
        if asking is None or ends is None:
            # Answers come in the order of what was asked: each is to have one.
            self._crew.send(worker, PeerData(said.serial))
            return
        one, two = ends
        # What it is, its first frame says: it is accepted like any connection of that worker.
        self._crew.send(asking, PeerLink(worker.serial, True, descriptors=(one.detach(),)))
        self._crew.send(worker, PeerData(said.serial, descriptors=(two.detach(),)))
