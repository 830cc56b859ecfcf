"""What a connection holds of a body that is not here yet, on a stream of our own reactor."""

from __future__ import annotations

import gc
import socket
import tracemalloc
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from tests.rigs.conversation_case import POST
from tests.rigs.fastpath_rig import Side

MANY = 8
LENGTH = 65536
"""Bytes of each body: the most that rides in its frame."""
CAME = 14000
"""Of them, what has come: so much that there is room for the whole."""


skip = unavailable()


class GatheredMemoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        from subproxy.reactor.epoll_reactor import CompiledEpollReactor

        self.reactor: Any = CompiledEpollReactor()
        self.side = Side(True)
        self.clients: list[socket.socket] = []

    def tearDown(self) -> None:
        for client in self.clients:
            client.close()
        self.turn()
        self.reactor.engine.close()

    def turn(self) -> None:
        for _ in range(3):
            self.reactor.iterate(0)

    def connect(self) -> Any:
        """A connection of a client, over a real socket."""
        from subproxy.reactor.generic import CompiledStreamServer

        client, ours = socket.socketpair()
        self.clients.append(client)
        address = IPv4Address("TCP", "192.0.2.7", 1)
        protocol: Any = self.side.factory.buildProtocol(None)
        stream: Any = CompiledStreamServer(
            ours, protocol, address, address, None, len(self.clients), self.reactor
        )
        protocol.makeConnection(stream)
        stream.startReading()
        return protocol

    def test_no_longer_than_it_is_gathered(self) -> None:
        """Who takes too long for it is served by Python: its room here goes."""
        fronts = [self.connect() for _ in range(MANY)]
        self.turn()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for client in self.clients:
            client.sendall(POST % LENGTH + b"x" * CAME)
        self.turn()
        self.assertEqual([front.busy for front in fronts], [True] * MANY)
        gathering, _ = tracemalloc.get_traced_memory()
        self.assertGreater(gathering, MANY * LENGTH)
        for front in fronts:
            front.deadline_passed(self.side.world.clock.seconds())
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        self.assertLess(held, MANY * LENGTH)

    def test_received_whole_by_python(self) -> None:
        """Who serves it then has no use for receives that end after one buffer."""
        front = self.connect()
        most = front.transport.most
        self.turn()
        self.clients[0].sendall(POST % LENGTH + b"x" * CAME)
        self.turn()
        self.assertLess(front.transport.most, most)
        front.deadline_passed(self.side.world.clock.seconds())
        self.assertEqual(front.transport.most, most)
