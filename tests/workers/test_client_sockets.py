"""Listening sockets for clients, one a worker."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase

from subproxy.workers.client_sockets import ClientSockets, tcp_sockets


class ClientSocketsTests(TestCase):
    def setUp(self) -> None:
        self.sockets = ClientSockets()
        self.addCleanup(self.sockets.close)

    def make(self, where: str, count: int = 3) -> None:
        def listen(maker: Any) -> Any:
            return serverFromString(maker, where).listen(Factory())

        self.sockets.make(where, count, listen, reactor)

    def test_one_a_worker(self) -> None:
        """On one port, to which connections come as they are hashed; each slot has its own."""
        self.make("tcp:0:interface=127.0.0.1")
        (made,) = self.sockets.made.values()
        self.assertEqual(len({each.getsockname() for each in made}), 1)
        self.assertEqual(len({self.sockets.of(slot)[0][1] for slot in range(3)}), 3)
        for _ in range(8):
            with socket.create_connection(made[0].getsockname()):
                pass

    def test_taken(self) -> None:
        """Another program listens there, though it would share the port."""
        (other,) = tcp_sockets("127.0.0.1", 0, 1)
        self.addCleanup(other.close)
        port = other.getsockname()[1]
        self.assertRaises(CannotListenError, tcp_sockets, "127.0.0.1", port, 2)
        self.assertRaises(CannotListenError, self.make, f"tcp:{port}:interface=127.0.0.1")
        self.assertEqual(self.sockets.made, {})

    def test_no_queue_is_lost(self) -> None:
        """Who waits for a worker that has died waits for the next one that has its socket."""
        self.make("tcp:0:interface=127.0.0.1", 1)
        (made,) = self.sockets.made.values()
        first = socket.socket(fileno=os.dup(made[0].fileno()))
        with socket.create_connection(made[0].getsockname()) as client:
            first.close()
            second = socket.socket(fileno=os.dup(made[0].fileno()))
            self.addCleanup(second.close)
            second.setblocking(True)
            second.settimeout(20)
            accepted, _ = second.accept()
            with accepted:
                accepted.sendall(b"there")
                self.assertEqual(client.recv(9), b"there")

    def test_a_unix_socket(self) -> None:
        """Is one for all; its name goes at the end."""
        path = Path(self.mktemp())
        self.make(f"unix:{path}:mode=600")
        self.assertEqual(len({self.sockets.of(slot)[0][1] for slot in range(3)}), 1)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.sockets.close()
        self.assertFalse(path.exists())

    def test_another_number_of_workers(self) -> None:
        """Those that are there stay; what is missing is made, what is too much is closed."""
        made = tcp_sockets("127.0.0.1", 0, 2)
        numbers = [each.fileno() for each in made]
        self.sockets.adopt("here", made, 3)
        grown = self.sockets.made["here"]
        self.assertEqual([each.fileno() for each in grown[:2]], numbers)
        self.assertEqual(len({each.getsockname() for each in grown}), 1)
        self.sockets.adopt("here", grown, 1)
        self.assertEqual([each.fileno() for each in self.sockets.made["here"]], numbers[:1])
        self.assertEqual([each.fileno() for each in grown[1:]], [-1, -1])
