"""Sockets that a service manager made; with systemd itself they are in test_handover."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from typing import Any

from twisted.internet.endpoints import _SystemdParser
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.python.systemd import ListenFDs
from twisted.trial.unittest import SynchronousTestCase

from subproxy.endpoints.addresses import HybridVsockAddress
from subproxy.endpoints.adopted import AdoptedVsockEndpoint, check_systemd, socket_of_systemd
from subproxy.endpoints.errors import CannotListenAt


class NamedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.given, self.peer = socket.socketpair()
        self.addCleanup(self.given.close)
        self.addCleanup(self.peer.close)
        passed = ListenFDs([self.given.fileno()], ["vms"])
        self.patch(_SystemdParser, "_sddaemon", passed)

    def test_by_number_and_by_name(self) -> None:
        for where in "systemd:index=0", "systemd:domain=UNIX:name=vms":
            with socket_of_systemd(where) as found:
                self.assertNotEqual(found.fileno(), self.given.fileno())
                found.sendall(b"x")
                self.assertEqual(self.peer.recv(1), b"x")

    def test_what_was_not_passed(self) -> None:
        for where in "systemd:index=1", "systemd:index=x", "systemd:name=other", "systemd:":
            error = self.assertRaises(ValueError, socket_of_systemd, where)
            self.assertEqual(
                str(error),
                "systemd has passed no such socket; it has passed index=0 (name=vms)",
            )
            self.assertRaises(ValueError, check_systemd, where)
        check_systemd("systemd:index=0")
        check_systemd("tcp:8080")

    def test_what_was_passed_is_told(self) -> None:
        """All of it, or that it was nothing."""
        for descriptors, names, told in (
            ([], [], "systemd has passed no sockets"),
            ([5, 6], ["a", "b"], "it has passed index=0 to 1 (name=a, name=b)"),
            ([5], [], "it has passed index=0 (none has a name)"),
        ):
            self.patch(_SystemdParser, "_sddaemon", ListenFDs(descriptors, names))
            error = self.assertRaises(ValueError, socket_of_systemd, "systemd:name=other")
            self.assertIn(told, str(error))


class ListenTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.path = os.path.join(folder, "vm.sock")
        self.factory = Factory()
        self.factory.noisy = False

    def listen(self, skt: socket.socket) -> Any:
        reactor = MemoryReactorClock()
        return AdoptedVsockEndpoint(reactor, skt, "systemd:index=0").listen(self.factory)

    def bound(self, path: str) -> socket.socket:
        skt = socket.socket(socket.AF_UNIX)
        self.addCleanup(skt.close)
        skt.bind(path)
        skt.listen()
        return skt

    def test_the_unix_socket_of_a_vm(self) -> None:
        port = self.successResultOf(self.listen(self.bound(f"{self.path}_77")))
        self.assertEqual(port.getHost(), HybridVsockAddress(self.path, 77))
        port.stopListening()
        # Who made it unlinks it.
        self.assertTrue(os.path.exists(f"{self.path}_77"))

    def test_a_name_that_is_not_of_a_vm(self) -> None:
        for name in self.path, f"{self.path}_x":
            failure = self.failureResultOf(self.listen(self.bound(name)), CannotListenAt)
            self.assertIn("the name of a VM's socket, _ and a port is needed", str(failure.value))

    def test_another_family(self) -> None:
        with socket.socket() as skt:
            failure = self.failureResultOf(self.listen(skt), CannotListenAt)
        self.assertIn("neither a vsock nor a unix socket", str(failure.value))
