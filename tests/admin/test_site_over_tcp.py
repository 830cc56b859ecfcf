"""The admin site over TCP: tokens, signing in, and what browsers are told."""

import time
from typing import Any
from unittest import mock

from prometheus_client import CollectorRegistry
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyChannel

from subproxy.admin.guard import Guard
from subproxy.admin.guarded import GuardedRequest
from subproxy.admin.metrics import ProxyCollector
from subproxy.admin.overview import Overview
from subproxy.admin.site import Admin, admin_site
from subproxy.core.balancing.member import MemberState
from subproxy.telemetry.counters import Counters
from tests.admin.test_site import NUMBERS
from tests.rigs.world import World


class TcpTests(SynchronousTestCase):
    """Over TCP: what L{Guard} decides, on real requests."""

    def setUp(self) -> None:
        world = self.world = World()
        world.serving("1")
        collectors = CollectorRegistry()
        collectors.register(ProxyCollector(Counters(), world.registry, world.dispatcher))
        admin = Admin(
            world.registry,
            world.router,
            world.clock.seconds,
            world.dispatcher.capacity,
            lambda: True,
        )
        self.events: list[str] = []
        observer = self.events_append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        overview = Overview(Counters(), world.registry, world.clock.seconds, NUMBERS)
        admin.overview = overview.look
        self.site = admin_site(admin, collectors, Guard(b"sesame"), world.clock)
        self.site.doStart()
        self.addCleanup(self.site.doStop)

    def events_append(self, event: dict[str, Any]) -> None:
        if event.get("log_namespace", "").startswith("subproxy.admin"):
            self.events.append(formatEvent(event))

    def ask(self, line: str, *fields: str, body: bytes = b"") -> str:
        protocol = self.site.buildProtocol(None)
        transport = StringTransport(
            hostAddress=IPv4Address("TCP", "192.0.2.1", 9900),
            peerAddress=IPv4Address("TCP", "192.0.2.9", 40000),
        )
        protocol.makeConnection(transport)
        head = "\r\n".join([f"{line} HTTP/1.1", *fields, "Connection: close", "", ""])
        protocol.dataReceived(head.encode("latin-1") + body)
        protocol.connectionLost(Failure(ConnectionDone()))
        return transport.value().decode("latin-1")

    def test_token(self) -> None:
        """401 without, 200 with it."""
        refused = self.ask("POST /api/drain/vm:1", "Host: 192.0.2.1:9900", "Content-Length: 0")
        self.assertTrue(refused.startswith("HTTP/1.1 401 "), refused)
        self.assertIn('\r\nWWW-Authenticate: Bearer realm="admin"\r\n', refused)
        self.assertIn('{"error": "a token is needed: Authorization: Bearer"}', refused)
        granted = self.ask("GET /api/routes", "Host: localhost", "Authorization: Bearer sesame")
        self.assertTrue(granted.startswith("HTTP/1.1 200 "), granted)
        self.assertTrue(self.ask("GET /healthz", "Host: x").endswith("ok\n"))

    def sign_in(self, token: str, *fields: str) -> tuple[str, str]:
        """The answer, and the cookie of it."""
        body = f"token={token}".encode()
        answer = self.ask(
            "POST /sign-in", "Host: localhost", f"Content-Length: {len(body)}", *fields, body=body
        )
        cookies = [each for each in answer.split("\r\n") if each.startswith("Set-Cookie: ")]
        return answer, cookies[0][12:].partition(";")[0] if cookies else ""

    def test_sign_in(self) -> None:
        """The page asks for the token, and then knows the browser, until it signs out."""
        asked = self.ask("GET /", "Host: localhost")
        self.assertTrue(asked.startswith("HTTP/1.1 401 "), asked)
        self.assertIn('<input id="token"', asked)
        self.assertIn("script-src 'self'", asked)
        answer, cookie = self.sign_in("sesame")
        self.assertTrue(answer.startswith("HTTP/1.1 303 "), answer)
        self.assertIn("\r\nLocation: /\r\n", answer)
        page = self.ask("GET /", "Host: localhost", f"Cookie: {cookie}")
        self.assertIn("vm:1/app/0", page)
        self.assertIn("Sign out", page)
        fields = ("Host: localhost", f"Cookie: {cookie}", "Content-Length: 0")
        drain = self.ask("POST /api/drain/vm:1", *fields)
        self.assertTrue(drain.startswith("HTTP/1.1 403 "), drain)
        drain = self.ask("POST /api/drain/vm:1", *fields, "Origin: http://localhost")
        self.assertTrue(drain.startswith("HTTP/1.1 200 "), drain)
        out = self.ask("POST /sign-out", *fields, "Origin: http://localhost")
        self.assertIn("Max-Age=0", out)

    def test_no_sign_in(self) -> None:
        """Wrong tokens, and what is no form; it is logged, the token is not."""
        for token in ("wrong", "", "%ff", "sesame&" + "a=b&" * 20, "sesame" + "x" * 9000):
            answer, cookie = self.sign_in(token)
            self.assertTrue(answer.startswith("HTTP/1.1 401 "), answer)
            self.assertIn('role="alert"', answer)
            self.assertEqual(cookie, "")
        answer, _ = self.sign_in("sesame", "Origin: http://evil.example")
        self.assertTrue(answer.startswith("HTTP/1.1 403 "), answer)
        self.assertIn("refused POST /sign-in of 192.0.2.9: the token is wrong", self.events[0])

    def test_a_page_in_a_browser(self) -> None:
        """No method of it goes through, nor does any answer have a CORS field."""
        for method in ("GET", "POST", "OPTIONS", "DELETE", "PUT", "HEAD"):
            for fields in (
                ("Host: localhost:9900", "Origin: https://evil.example"),
                ("Host: localhost:9900", "Sec-Fetch-Site: cross-site"),
                ("Host: localhost:9900", "Origin: null", "Authorization: Bearer sesame"),
            ):
                answer = self.ask(f"{method} /api/drain/vm:1", *fields)
                self.assertTrue(answer.startswith("HTTP/1.1 403 "), answer)
                self.assertNotIn("access-control", answer.lower())
            rebound = self.ask(f"{method} /api/drain/vm:1", "Host: evil.example:9900")
            status = 405 if method in ("OPTIONS", "PUT") else 421
            self.assertTrue(rebound.startswith(f"HTTP/1.1 {status} "), rebound)
        (member,) = self.world.registry.members()
        self.assertEqual(member.state, MemberState.READY)

    def test_preflight(self) -> None:
        """OPTIONS is no method of any page, for whoever asks."""
        for path in ("/api/routes", "/metrics", "/api/drain/vm:1"):
            answer = self.ask(f"OPTIONS {path}", "Host: localhost", "Authorization: Bearer sesame")
            self.assertTrue(answer.startswith("HTTP/1.1 405 "), answer)
            self.assertNotIn("access-control", answer.lower())

    def test_log(self) -> None:
        """Ten lines a second of what is refused, printable; what is left out is counted."""
        for _ in range(50):
            self.ask("GET /api/\x9b[2J", "Host: localhost", "Authorization: Bearer wrong")
        self.assertEqual(len(self.events), 10)
        self.assertEqual(
            self.events[0],
            r"admin: refused GET /api/\x9b[2J of 192.0.2.9: the token is wrong",
        )
        self.world.clock.advance(1)
        self.ask("GET /api/routes", "Host: localhost")
        self.assertIn("40 more not logged", self.events[-1])
        self.assertNotIn("wrong", "".join(self.flushed()))

    def flushed(self) -> list[str]:
        return [line for line in self.events if "Bearer wrong" in line]

    def test_bodies_are_not_kept(self) -> None:
        """A stranger's long body is no file."""
        answer = self.ask(
            "POST /api/drain/vm:1",
            "Host: localhost",
            "Content-Type: application/x-www-form-urlencoded",
            "Content-Length: 300000",
            body=b"a=b&" * 75_000,
        )
        self.assertTrue(answer.startswith("HTTP/1.1 401 "), answer)
        request = GuardedRequest(DummyChannel())
        request.gotLength(1 << 40)
        request.handleContentChunk(b"x" * 1000)
        self.assertEqual(request.content.getvalue(), b"")

    def test_no_browser_keeps_it(self) -> None:
        """Nor shows it in a frame."""
        answer = self.ask("GET /metrics", "Host: localhost").lower()
        for field in ("cache-control: no-store", "frame-ancestors 'none'", "nosniff"):
            self.assertIn(field, answer)

    def test_the_date_of_a_line(self) -> None:
        """It is that of the wall, though the reactor's clock is monotonic."""
        lines: list[str] = []
        self.site._logFile = mock.Mock(write=lines.append)
        self.ask("GET /healthz?\x9b", "Host: localhost")
        (line,) = lines
        self.assertIn(time.strftime("%Y:", time.gmtime()), line)
        self.assertNotIn("1970", line)
        self.assertNotIn("\x9b", line)
