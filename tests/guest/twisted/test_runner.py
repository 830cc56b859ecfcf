"""Tests for L{guest.twisted.runner}: what ends the process, and with which status."""

from __future__ import annotations

import io
import signal
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.trial.unittest import SynchronousTestCase

from guest.core import statuses
from guest.core.errors import RegistrationRefused, SubscriptionRefused, SubscriptionReplaced
from guest.core.route import Route
from guest.twisted import runner as program
from guest.twisted.vsock import VsockClientEndpoint


class Reactor:
    """Runs nothing; stops when told."""

    def __init__(self) -> None:
        self.stopped = 0
        self.starting: list[Any] = []

    def callWhenRunning(self, function: Any) -> None:
        self.starting.append(function)

    def callFromThread(self, function: Any, *args: Any) -> None:
        function(*args)

    def run(self) -> None:
        for function in self.starting:
            function()

    def stop(self) -> None:
        self.stopped += 1


class Service:
    """Is started and stopped."""

    def __init__(self) -> None:
        self.over: Deferred[Any] = Deferred()
        self.stopping: Deferred[Any] = Deferred()
        self.calls: list[str] = []

    def whenOver(self) -> Deferred[Any]:
        return self.over

    def startService(self) -> None:
        self.calls.append("start")

    def stopService(self) -> Deferred[Any]:
        self.calls.append("stop")
        return self.stopping

    def abort(self) -> None:
        self.calls.append("abort")


class RunnerTests(SynchronousTestCase):
    """Signals, refusals and replacements."""

    def setUp(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.stderr, self.stdout = io.StringIO(), io.StringIO()
        self.patch(program.sys, "stderr", self.stderr)
        self.patch(program.sys, "stdout", self.stdout)
        self.start()

    def start(self, keepGoing: bool = False) -> None:
        self.reactor, self.service = Reactor(), Service()
        self.runner = program.Runner(self.reactor, self.service, keepGoing)
        self.status = self.runner.run()

    def test_it_starts_the_service(self) -> None:
        self.assertEqual((self.service.calls, self.status), (["start"], 0))

    def test_sigterm_drains_then_stops(self) -> None:
        signal.raise_signal(signal.SIGTERM)
        self.assertEqual((self.service.calls, self.reactor.stopped), (["start", "stop"], 0))
        self.service.stopping.callback(None)
        self.assertEqual((self.reactor.stopped, self.runner.status), (1, 0))

    def test_a_second_signal_does_not_wait(self) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        self.assertEqual(self.service.calls, ["start", "stop", "abort"])
        self.assertEqual(self.reactor.stopped, 1)
        self.service.stopping.callback(None)
        self.assertEqual(self.reactor.stopped, 1)

    def test_registrations_are_printed(self) -> None:
        self.runner.registered(None, Route(rb"blog\.example"))
        self.assertEqual(self.stdout.getvalue(), "registered host=blog\\.example path=/.*\n")

    def test_a_refused_route_ends_it(self) -> None:
        self.runner.refused(None, RegistrationRefused(b"a", b"/", "policy", "not yours"))
        self.assertEqual(
            self.stderr.getvalue(), "guest: refused host=a path=/: not yours (policy)\n"
        )
        self.assertEqual((self.service.calls[-1], self.runner.status), ("stop", statuses.REFUSED))

    def test_unless_it_is_to_keep_going(self) -> None:
        self.start(keepGoing=True)
        self.runner.refused(None, RegistrationRefused(b"a", b"/", "policy", "not yours"))
        self.assertEqual(self.service.calls, ["start"])
        self.assertIn("not yours", self.stderr.getvalue())

    def test_several_refusals_are_all_told(self) -> None:
        for host in (b"a", b"b"):
            self.runner.refused(None, RegistrationRefused(host, b"/", "policy", "no"))
        self.assertEqual(self.stderr.getvalue().count("refused"), 2)
        self.assertEqual(self.service.calls.count("stop"), 1)

    def test_ends_of_their_own(self) -> None:
        for reason, status in (
            (SubscriptionReplaced("replaced", "a newer one is here"), statuses.REPLACED),
            (SubscriptionRefused("policy", "not you"), statuses.REFUSED),
        ):
            self.start()
            self.service.over.callback(reason)
            self.assertEqual((self.service.calls[-1], self.runner.status), ("stop", status))
            self.assertIn(str(reason), self.stderr.getvalue())

    def test_a_replacement_while_stopping_changes_nothing(self) -> None:
        signal.raise_signal(signal.SIGTERM)
        self.service.over.callback(SubscriptionReplaced("replaced", ""))
        self.assertEqual((self.runner.status, self.service.calls.count("stop")), (0, 1))


class EndpointTests(SynchronousTestCase):
    """Where the proxy is."""

    def test_kinds(self) -> None:
        for description, kind in (
            ("vsock:2:12345", VsockClientEndpoint),
            ("unix:/run/x.sock_12345", UNIXClientEndpoint),
        ):
            self.assertIsInstance(program.endpoint_of(None, description), kind)

    def test_what_is_none(self) -> None:
        for description in ("", "nonsense", "nonsense:1", "vsock:x:y", "tcp:"):
            self.assertRaises(ValueError, program.endpoint_of, None, description)
