from __future__ import annotations

import os
import socket
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.vmm.driver import VmmError
from subproxy.machines.vmm.process_endpoint import ProcessEndpoint, listening_process


class SocketTransport(StringTransport):
    """One that is of a socket."""

    def __init__(self, handle: socket.socket) -> None:
        super().__init__()
        self._handle = handle

    def getHandle(self) -> socket.socket:
        """As a transport of a reactor has it."""
        return self._handle


class ProcessEndpointTests(SynchronousTestCase):
    def setUp(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.transport = SocketTransport(ours)

    def connect(self, pid: int) -> Deferred[IProtocol]:
        """Connect to who must be that process, and is this one."""
        reactor = MemoryReactorClock()
        endpoint = ProcessEndpoint(reactor, Path("/m/api.sock"), lambda: pid, 3.0)
        connected = endpoint.connect(Factory.forProtocol(Protocol))
        path, factory, timeout, *_ = reactor.unixClients[-1]
        self.assertEqual((path, timeout), ("/m/api.sock", 3.0))
        factory.buildProtocol(None).makeConnection(self.transport)
        return connected

    def test_that_process(self) -> None:
        self.assertEqual(listening_process(self.transport.getHandle()), os.getpid())
        protocol = self.successResultOf(self.connect(os.getpid()))
        self.assertIsInstance(protocol, Protocol)
        self.assertFalse(self.transport.disconnected)

    def test_another_process(self) -> None:
        """It is left at once, and nothing is said to it."""
        reason = self.failureResultOf(self.connect(1), VmmError).value.reason
        self.assertEqual(reason, f"/m/api.sock is the socket of process {os.getpid()}, not of 1")
        self.assertTrue(self.transport.disconnected or self.transport.disconnecting)
        self.assertEqual(self.transport.value(), b"")
