"""A listening socket that other processes accept from, too."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from subproxy.fastpath.install import unavailable


class FakeAcceptor:
    """One whose request is with the kernel, if it C{accepts}."""

    accepts = True

    def reader(self) -> object:
        return self if self.accepts else None


class LookTests(SynchronousTestCase):
    def test_look(self) -> None:
        """Who waits is taken, if the port accepts at all; nobody is waited for."""
        if unavailable():
            raise SkipTest(unavailable())
        from subproxy.reactor.tcp import CompiledPort

        reactor: Any = Clock()
        port: Any = CompiledPort(0, Factory(), 50, "127.0.0.1", reactor)
        port.socket = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(port.socket.close)
        port.socket.setblocking(False)
        taken: list[int] = []
        self.patch(port, "descriptor_accepted", taken.append)
        port.look()  # it does not listen yet
        port._acceptor = FakeAcceptor()
        port.look()
        self.assertEqual(taken, [])
        with socket.create_connection(port.socket.getsockname()):
            port._acceptor.accepts = False
            port.look()
            self.assertEqual(taken, [])
            port._acceptor.accepts = True
            port.look()
            port.look()
        (descriptor,) = taken
        os.close(descriptor)
