"""Listeners that say where they listen, or end the program."""

import io
from contextlib import redirect_stderr

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from subproxy.listener import ListenerService
from subproxy.listener import fail as give_up


class FakePort:
    """A port that remembers whether it is open."""

    def __init__(self) -> None:
        self.stopped: Deferred[None] | None = None

    def getHost(self) -> str:
        return "here"

    def stopListening(self) -> Deferred[None]:
        self.stopped = Deferred()
        return self.stopped


class FakeEndpoint:
    """An endpoint whose listening is what the test says."""

    def __init__(self, result: Deferred) -> None:
        self.result = result
        self.calls = 0

    def listen(self, factory: Factory) -> Deferred:
        self.calls += 1
        return self.result


class ListenerServiceTests(SynchronousTestCase):
    def service(self, result: Deferred, optional: bool = False) -> ListenerService:
        self.given_up: list[str] = []
        return ListenerService(
            FakeEndpoint(result),  # type: ignore[arg-type]
            Factory(),
            "guests",
            "/tmp/x",
            optional=optional,
            give_up=self.given_up.append,
        )

    def setUp(self) -> None:
        self.events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)

    def test_listens_once_and_says_where(self) -> None:
        """Privileged start and start are one listening, told in one line."""
        service = self.service(succeed(FakePort()))
        service.privilegedStartService()
        service.startService()
        self.assertEqual(service.endpoint.calls, 1)  # type: ignore[attr-defined]
        self.assertEqual([formatEvent(e) for e in self.events], ["guests on /tmp/x (here)"])

    def test_prepares_its_port(self) -> None:
        """Who wants something of the socket has it before the log says that it listens."""
        port = FakePort()
        prepared: list[object] = []
        endpoint = FakeEndpoint(succeed(port))
        ListenerService(endpoint, Factory(), "x", "y", prepare=prepared.append).startService()  # type: ignore[arg-type]
        self.assertEqual(prepared, [port])

    def test_stop(self) -> None:
        """A stop ends when the port is closed."""
        port = FakePort()
        service = self.service(succeed(port))
        service.startService()
        done = service.stopService()
        self.assertNoResult(done)
        assert port.stopped is not None
        port.stopped.callback(None)
        self.successResultOf(done)
        self.successResultOf(service.stopService())

    def test_failure(self) -> None:
        """What cannot be listened on is given up with one line."""
        service = self.service(fail(CannotListenError("*", 80, OSError("in use"))))
        service.privilegedStartService()
        self.assertEqual(len(self.given_up), 1)
        self.assertIn("cannot listen for guests on /tmp/x", self.given_up[0])

    def test_optional_failure(self) -> None:
        """A default that cannot be had is only told."""
        service = self.service(fail(CannotListenError("*", 80, OSError("in use"))), optional=True)
        service.startService()
        self.assertEqual(self.given_up, [])
        self.assertIn("cannot listen", formatEvent(self.events[0]))

    def test_stop_while_starting(self) -> None:
        """A listening that is under way is cancelled."""
        cancelled: list[object] = []
        service = self.service(Deferred(cancelled.append), optional=True)
        service.startService()
        self.successResultOf(service.stopService())
        self.assertEqual(len(cancelled), 1)

    def test_give_up(self) -> None:
        """The program ends with status 1 and its reason on standard error."""
        said = io.StringIO()
        with redirect_stderr(said):
            error = self.assertRaises(SystemExit, give_up, "no")
        self.assertEqual((error.code, said.getvalue()), (1, "subproxy: no\n"))
