"""Listeners that say where they listen, or end the program."""

import io
import os
from contextlib import redirect_stderr
from errno import EADDRINUSE, ENOENT

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app.listener import ListenerService, NotListening, why
from subproxy.app.listener import fail as give_up
from subproxy.endpoints.errors import CannotListenAt


class FakePort:
    """A port that remembers whether it is open."""

    def __init__(self) -> None:
        self.stopped: Deferred[None] | None = None

    def getHost(self) -> str:
        return "here"

    def stopListening(self) -> Deferred[None]:
        self.stopped = Deferred()
        return self.stopped


class LookingPort(FakePort):
    """One whose socket may be another process's, too."""

    looks = 0

    def look(self) -> None:
        self.looks += 1


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

    def test_stop_of_what_somebody_removed(self) -> None:
        """The name in a folder is gone already: that is told, and it is stopped all the same."""
        port = FakePort()
        service = self.service(succeed(port))
        service.startService()
        done = service.stopService()
        assert port.stopped is not None
        port.stopped.errback(FileNotFoundError(ENOENT, "No such file"))
        self.successResultOf(done)
        self.assertIn("No such file", formatEvent(self.events[1]))

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

    def test_late_failure(self) -> None:
        """Where the reactor runs already, whoever waits is told: it cannot end the program."""
        waiting: Deferred[FakePort] = Deferred()
        service = self.service(waiting)
        service.startService()
        listening = service.when_listening()
        self.assertNoResult(listening)
        waiting.errback(CannotListenAt("/tmp/x", "another process holds the lock"))
        error = self.failureResultOf(listening, NotListening).value
        self.assertIn("another process holds the lock", str(error))
        self.assertEqual(self.given_up, [])

    def test_late_success(self) -> None:
        """And when it listens at last."""
        waiting: Deferred[FakePort] = Deferred()
        service = self.service(waiting)
        service.startService()
        listening = service.when_listening()
        waiting.callback(FakePort())
        self.successResultOf(listening)

    def test_close_now(self) -> None:
        """Without a reactor a port is closed at once, as if its connection were lost."""
        closed: list[str] = []
        port = FakePort()
        port.connectionLost = lambda reason: closed.append(reason.type.__name__)  # type: ignore[attr-defined]
        service = self.service(succeed(port))
        service.startService()
        service.close_now()
        service.close_now()
        self.assertEqual(closed, ["ConnectionDone"])

    def test_stop_while_starting(self) -> None:
        """A listening that is under way is cancelled."""
        cancelled: list[object] = []
        service = self.service(Deferred(cancelled.append), optional=True)
        service.startService()
        self.successResultOf(service.stopService())
        self.assertEqual(len(cancelled), 1)

    def test_looks(self) -> None:
        """Where the port has to, and while it listens."""
        for port, looks in ((LookingPort(), 1), (FakePort(), 0)):
            service = self.service(succeed(port))
            service.look()
            service.startService()
            service.look()
            service.stopService()
            service.look()
            self.assertEqual(getattr(port, "looks", 0), looks)

    def test_why(self) -> None:
        """Few words: what the system says, or the folder that is not there."""
        none = os.path.abspath("none-there")
        absent = OSError(ENOENT, "No such file or directory")
        absent.filename = f"{none}/log"
        in_use = OSError(EADDRINUSE, "Address already in use")
        for error, words in (
            (CannotListenError("", 80, in_use), "Address already in use"),
            (CannotListenError("", f"{none}/x", absent), f"there is no folder {none}"),
            (CannotListenError("", os.fsencode(f"{none}/x"), absent), f"there is no folder {none}"),
            (CannotListenError("", "/x", in_use), "Address already in use"),
            (absent, f"there is no folder {none}"),
            (CannotListenAt("/x", "no"), "Couldn't listen on /x: no."),
            (ValueError("odd"), "odd"),
        ):
            self.assertEqual(why(error), words)

    def test_give_up(self) -> None:
        """The program ends with status 1 and its reason on standard error."""
        said = io.StringIO()
        with redirect_stderr(said):
            error = self.assertRaises(SystemExit, give_up, "no")
        self.assertEqual((error.code, said.getvalue()), (1, "subproxy: no\n"))
