"""What a worker is told of other hosts by its parent, and the connections that it gets."""

from __future__ import annotations

import os
from typing import Any

from subproxy.app.host_links import HostLinks
from subproxy.core.routing.route import Route
from subproxy.workers.guest_connection import begin_connection
from subproxy.workers.host_messages import HostRoutes, PassedHost, PeerHostCame, PeerHostLeft
from subproxy.workers.messages import ChannelMessage


class HostDoor:
    """
    See above.

    @ivar links: the worker's connections with other hosts.
    """

    def __init__(self, reactor: Any, links: HostLinks) -> None:
        self.links = links
        self._reactor = reactor
        self._listener = links.listener()

    def came(self, said: ChannelMessage) -> None:
        """The parent says something; what is not about other hosts is not for here."""
        match said:
            case PassedHost():
                (descriptor,) = said.descriptors
                self._begin(descriptor, said.payload)
            case PeerHostCame():
                self._reactor.callWhenRunning(self.links.host_came, said.name, said.address)
            case PeerHostLeft():
                self.links.host_left(said.name)
            case HostRoutes():
                self._routes(said)

    def _begin(self, descriptor: int, data: bytes) -> None:
        protocol = self._listener.buildProtocol(None)
        if protocol is None:
            os.close(descriptor)
        else:
            begin_connection(self._reactor, descriptor, "another host", protocol, data)

    def _routes(self, said: HostRoutes) -> None:
        links, name = self.links, said.name
        for wakes, words in ((False, said.serves), (True, said.wakes)):
            for route in map(Route.of_words, words):
                if name:
                    links.route_came(name, route, wakes)
                else:
                    links.serve(route, wakes)
        for route in map(Route.of_words, said.withdrawn):
            if name:
                links.route_left(name, route)
            else:
                links.withdraw(route)
