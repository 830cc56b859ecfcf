"""What a guest has chosen reaches no terminal raw: log, admin pages, metrics, command line."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from unittest import mock

from prometheus_client import CollectorRegistry, generate_latest
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from subproxy.admin.metrics import ProxyCollector
from subproxy.admin.site import answer
from subproxy.admin.view import routes_view, subscribers_view
from subproxy.cli import tables
from subproxy.cli.client import AdminError
from subproxy.cli.main import main
from subproxy.core.balancing.member import Member
from subproxy.errors import BadRequest
from subproxy.frontend.error_pages import error_page
from subproxy.telemetry.counters import Counters
from subproxy.wire import messages as m
from tests.rigs.world import Guest, World

EVIL = b"\x1b[2J\r\nforged\x07\x7f\xe2\x80\xae\x9b0m\0"
PLAIN = {chr(code) for code in range(0x20, 0x7F)}


class LogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines: list[str] = []
        observer: Callable[..., None] = lambda event: self.lines.append(formatEvent(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.world = World()

    def guest(self, identity: str = "1") -> Guest:
        guest = self.world.guest(identity)
        guest.hello(application=EVIL, instance=EVIL, agent=EVIL)
        return guest

    def check(self, *said: str) -> None:
        log = "\n".join(self.lines)
        for words in said:
            self.assertIn(words, log)
        for line in self.lines:
            self.assertLessEqual(set(line), PLAIN, line)

    def test_a_greeting(self) -> None:
        """Application, instance and agent."""
        self.guest()
        self.check(r"subscribed: \x1b[2J\x0d\x0aforged\x07\x7f\xe2\x80\xae\x9b0m\x00, worker 0")

    def test_a_refused_pattern(self) -> None:
        """A pattern that is refused, with what is said of it."""
        guest = self.guest()
        guest.register(b"(" + EVIL)
        guest.register(b"a", b"/[" + EVIL)
        self.check("may not serve", r"(\x1b[2J")

    def test_an_abort(self) -> None:
        """The reason with which a guest gives up."""
        guest = self.guest()
        guest.register(b"a\\.example")
        _, sink = self.world.ask(method=b"POST")
        guest.pump()
        (request,) = guest.take(m.Request)
        guest.say(m.Abort(request.exchange, b"gone", EVIL))
        assert sink.error is not None
        self.assertIn(r"\x1b[2J\x0d\x0aforged", sink.error.reason)
        self.assertLessEqual(set(sink.error.reason), PLAIN)

    def test_an_invalid_response(self) -> None:
        """A field that may not be."""
        guest = self.guest()
        guest.register(b"a\\.example")
        self.world.ask(method=b"POST")
        guest.pump()
        (request,) = guest.take(m.Request)
        guest.say(m.Response(request.exchange, 200, ((EVIL, EVIL),), {}, b""))
        self.check("sent an invalid response")

    def test_a_broken_protocol(self) -> None:
        """A frame that is none."""
        guest = self.guest()
        guest.protocol.dataReceived(EVIL)
        self.check("broke the protocol")

    def test_goodbye(self) -> None:
        """A guest that says why it leaves."""
        self.guest().say(m.Bye(EVIL[:20], EVIL))
        self.check()


class SinkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        guest = self.world.guest("1")
        guest.hello(application=EVIL, instance=EVIL)
        guest.register(b"a\\.example")
        self.registry = self.world.registry

    def test_admin(self) -> None:
        """JSON of the admin listener, and the names in it."""
        data = subscribers_view(self.registry, 0.0)
        (member,) = data["subscribers"]
        for key in ("id", "identity", "application", "instance"):
            self.assertLessEqual(set(member[key]), PLAIN, key)
        page = answer(mock.Mock(), {**data, "raw": EVIL.decode("latin-1")})
        self.assertLessEqual(set(page.decode().replace("\n", "")), PLAIN)

    def test_tables(self) -> None:
        """A table of the command line, even of a proxy that escapes nothing."""
        data = subscribers_view(self.registry, 0.0)
        data["subscribers"][0]["id"] = EVIL.decode("latin-1")
        self.assertEqual(len(tables.subscribers(data).splitlines()), 2)
        self.assertLessEqual(set(tables.subscribers(data).replace("\n", "")), PLAIN)
        drained = tables.drained({"subscribers": [EVIL.decode("latin-1")]}, "drained")
        self.assertLessEqual(set(drained), PLAIN)

    def test_command(self) -> None:
        """What the command prints, whatever it is told."""
        evil = EVIL.decode("latin-1")
        route = {"host": evil, "path": evil, "vacant": False, "waiting": 0, "subscribers": []}
        explained = {
            "host": evil,
            "path": evil,
            "reason": evil,
            "route": route,
            "candidates": [{"route": evil, "rule": evil}] * 2,
            "same_host": [evil],
            "subscribers": [],
            "site_rules": [{"rule": evil, "site": evil, "each_request": True}],
        }
        for words, said in (
            (["routes"], {"routes": [route]}),
            (["explain", "x"], explained),
            (["explain", "x"], {**explained, "route": None}),
            (["--json", "explain", "x"], explained),
            (["drain", "x"], {"subscribers": [evil]}),
        ):
            out = io.StringIO()
            asking = mock.patch("subproxy.cli.client.AdminClient.ask", return_value=said)
            with asking, redirect_stdout(out):
                self.assertEqual(main(words), 0)
            self.assertLessEqual(set(out.getvalue().replace("\n", "")), PLAIN, words)

    def test_refusal(self) -> None:
        """Nor what it says on standard error."""
        err = io.StringIO()
        raising = mock.patch(
            "subproxy.cli.client.AdminClient.ask", side_effect=AdminError(EVIL.decode("latin-1"))
        )
        with raising, mock.patch("sys.stderr", err):
            self.assertEqual(main(["routes"]), 1)
        self.assertLessEqual(set(err.getvalue().rstrip("\n")), PLAIN)

    def test_metrics(self) -> None:
        """Labels: and names that only look alike stay two."""
        other = self.world.guest("1")
        other.hello(application=EVIL.replace(b"\x1b", rb"\x1b"))
        other.register(b"a\\.example")
        collectors = CollectorRegistry()
        collectors.register(ProxyCollector(Counters(), self.registry, self.world.dispatcher))
        page = generate_latest(collectors).decode()
        self.assertLessEqual(set(page.replace("\n", "")), PLAIN)
        ready = [line for line in page.splitlines() if line.startswith("subproxy_subscriber_ready")]
        self.assertEqual(len(set(ready)), 2)

    def test_repr(self) -> None:
        """A member, where it is named in an error."""
        (member,) = self.registry.members()
        self.assertIsInstance(member, Member)
        self.assertLessEqual(set(repr(member)), PLAIN)

    def test_error_page(self) -> None:
        """A page of the proxy itself."""
        _, body = error_page(BadRequest(EVIL.decode("latin-1")), b"GET", b"id")
        self.assertLessEqual(set(body.decode().replace("\n", "")), PLAIN)

    def test_routes(self) -> None:
        """Routes as JSON."""
        self.assertLessEqual(set(json.dumps(routes_view(self.registry, 0.0))), PLAIN)
