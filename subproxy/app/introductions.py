"""How the parent connects its workers: by socket pairs, of which each of two gets an end."""

from __future__ import annotations

import socket

from twisted.logger import Logger

from subproxy.workers.crew import Crew
from subproxy.workers.messages import ChannelMessage, PeerLink
from subproxy.workers.peer_messages import PeerData, PeerDataWanted
from subproxy.workers.slots import Worker


class Introductions:
    """See above."""

    _log = Logger()

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def ready(self, worker: Worker) -> None:
        """C{worker} serves: connect it with all others, both ways."""
        for other in self._crew.serving:
            if other is worker:
                continue
            for asking, serving in ((worker, other), (other, worker)):
                one, two = socket.socketpair()
                asks = PeerLink(serving.serial, True, descriptors=(one.detach(),))
                serves = PeerLink(asking.serial, False, descriptors=(two.detach(),))
                self._crew.send(asking, asks)
                self._crew.send(serving, serves)

    def came(self, worker: Worker, said: ChannelMessage) -> None:
        """C{worker} says something; what is not about data connections is not for here."""
        if not isinstance(said, PeerDataWanted):
            return
        asking = next((each for each in self._crew.serving if each.serial == said.serial), None)
        try:
            ends = None if asking is None else socket.socketpair()
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
