"""Tests of subproxy.endpoints.passed_sockets; with real processes they are in test_handover."""

from __future__ import annotations

from twisted.internet.endpoints import _SystemdParser
from twisted.python.systemd import ListenFDs
from twisted.trial.unittest import SynchronousTestCase

from subproxy.endpoints.passed_sockets import passed_sockets, unnamed_sockets


class UnnamedTests(SynchronousTestCase):
    def passed(self, **environment: str) -> list[int]:
        given = {name.encode(): value.encode() for name, value in environment.items()}
        return unnamed_sockets(given, 77).inheritedDescriptors()

    def test_without_names(self) -> None:
        self.assertEqual(self.passed(LISTEN_PID="77", LISTEN_FDS="2"), [3, 4])

    def test_nothing_for_us(self) -> None:
        """Another process's, as many as nobody can count, or none."""
        self.assertEqual(self.passed(), [])
        self.assertEqual(self.passed(LISTEN_PID="7", LISTEN_FDS="2"), [])
        self.assertEqual(self.passed(LISTEN_PID="77"), [])
        self.assertEqual(self.passed(LISTEN_PID="77", LISTEN_FDS="-1"), [])

    def test_names_that_do_not_fit(self) -> None:
        """It is an error, as it is for Twisted."""
        self.assertEqual(self.passed(LISTEN_PID="77", LISTEN_FDS="2", LISTEN_FDNAMES="a:b:c"), [])


class PassedTests(SynchronousTestCase):
    def test_what_twisted_has_found(self) -> None:
        named = ListenFDs([3], ["web"])
        self.patch(_SystemdParser, "_sddaemon", named)
        self.assertIs(passed_sockets(), named)

    def test_nothing(self) -> None:
        self.patch(_SystemdParser, "_sddaemon", ListenFDs([]))
        self.assertEqual(passed_sockets().inheritedDescriptors(), [])
