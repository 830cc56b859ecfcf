"""What a bare port means."""

from __future__ import annotations

import os
import socket

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.bare_port import OPEN, ClientListener, expand, is_bare, without_policy
from subproxy.endpoints.ipv6 import IPv6Endpoint, has_ipv6


def yes(interface: str) -> bool:
    return True


def no(interface: str) -> bool:
    return False


class BarePortTests(SynchronousTestCase):
    def test_table(self) -> None:
        """A port is of both versions of IP, of this machine without a policy."""
        for value, policy, ipv6, wanted in (
            ("80", False, yes, ["tcp:80:interface=127.0.0.1", "tcp6:80:interface=\\:\\:1"]),
            ("80", False, no, ["tcp:80:interface=127.0.0.1"]),
            ("80", True, yes, ["tcp:80", "tcp6:80:interface=\\:\\:"]),
            ("80", True, no, ["tcp:80"]),
            ("0", True, yes, ["tcp:0"]),
            ("tcp:80", False, yes, ["tcp:80"]),
            ("tcp:80", True, yes, ["tcp:80"]),
            ("unix:/x", False, yes, ["unix:/x"]),
        ):
            self.assertEqual([each.where for each in expand(value, policy, ipv6)], wanted)

    def test_endpoints(self) -> None:
        """IPv6 has a kind of its own."""
        reactor = MemoryReactor()
        four, six = expand("80", False, yes)
        self.assertIsInstance(four.endpoint(reactor), TCP4ServerEndpoint)
        self.assertIsInstance(six.endpoint(reactor), IPv6Endpoint)
        self.assertRaises(ValueError, ClientListener("nonsense:1").endpoint, reactor)

    def test_is_bare(self) -> None:
        for value, bare in (("80", True), ("tcp:80", False), ("", False), ("\u00b2", False)):
            self.assertEqual(is_bare(value), bare)

    def test_line(self) -> None:
        """Without a policy a line says who can come, and how that is changed."""
        said = without_policy(["80", "tcp:81", "82"])
        for word in ("80, 82", "any guest may claim", "--policy=FILE", "--http=tcp:80"):
            self.assertIn(word, said)
        self.assertEqual(without_policy(["tcp:81"]), OPEN)


class AdoptingReactor:
    """It adopts a port, and tells what the socket was like."""

    def adoptStreamPort(self, fileno: int, family: int, factory: Factory) -> object:
        with socket.socket(fileno=os.dup(fileno)) as found:
            return (
                found.getsockname()[:2],
                found.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY),
                found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN),
                found.getblocking(),
            )


class IPv6Tests(SynchronousTestCase):
    def setUp(self) -> None:
        if not has_ipv6("::1"):
            self.skipTest("no IPv6 here")

    def listen(self, port: int, interface: str) -> Deferred:
        return IPv6Endpoint(AdoptingReactor(), port, interface).listen(Factory())

    def test_alone(self) -> None:
        """The same port of IPv4 is somebody else's, whatever the system's default is."""
        with socket.create_server(("", 0)) as other:
            port = other.getsockname()[1]
            name, only, listening, _ = self.successResultOf(self.listen(port, "::"))
        self.assertEqual((name, only, listening), (("::", port), 1, 1))

    def test_in_use(self) -> None:
        """It fails as Twisted's own endpoints do."""
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
            failed = self.listen(other.getsockname()[1], "::1")
        self.failureResultOf(failed, CannotListenError)

    def test_address_of_nobody_here(self) -> None:
        self.assertFalse(has_ipv6("2001:db8::1"))
