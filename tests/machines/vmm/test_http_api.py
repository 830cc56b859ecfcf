from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseFailed

from subproxy.machines.vmm.driver import VmmError
from subproxy.machines.vmm.http_api import LONGEST, TIME_LIMIT, ApiCall, HttpApi

CREATE = ApiCall("PUT", "/api/v1/vm.create", {"cpus": 1})
BOOT = ApiCall("PUT", "/api/v1/vm.boot")


class HttpApiTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        endpoint = UNIXClientEndpoint(self.reactor, "/m/api.sock")
        self.api = HttpApi(self.reactor, endpoint, lambda body: body.decode())

    def ask(self, call: ApiCall) -> Deferred[bytes]:
        """Ask, and be connected."""
        asked = self.api.ask(call)
        path, factory, *_ = self.reactor.unixClients[-1]
        self.assertEqual(path, "/m/api.sock")
        self.protocol: Any = factory.buildProtocol(None)
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)
        return asked

    def answer(self, status: int, body: bytes = b"") -> None:
        """As micro-http writes it."""
        head = b"HTTP/1.1 %d \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n" % status
        if status != 204:
            head += b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        self.protocol.dataReceived(head + b"\r\n" + body)

    def test_a_request(self) -> None:
        asked = self.ask(CREATE)
        head, _, body = self.transport.value().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"PUT /api/v1/vm.create HTTP/1.1\r\n"))
        self.assertIn(b"content-length: 11", head.lower())
        self.assertNotIn(b"transfer-encoding", head.lower())
        self.assertEqual(body, b'{"cpus": 1}')
        self.answer(204)
        self.assertEqual(self.successResultOf(asked), b"")
        self.assertTrue(self.transport.disconnecting)

    def test_without_a_body(self) -> None:
        asked = self.ask(BOOT)
        self.assertTrue(self.transport.value().endswith(b"\r\n\r\n"))
        self.answer(200, b'{"version": "53.0"}')
        self.assertEqual(self.successResultOf(asked), b'{"version": "53.0"}')

    def test_a_refusal(self) -> None:
        for status, body, reason in (
            (400, b"no kernel", "no kernel"),
            (500, b"no \x1bkernel", r"no \x1bkernel"),
            (404, b"", "PUT /api/v1/vm.boot: status 404"),
            (302, b"", "PUT /api/v1/vm.boot: status 302"),
        ):
            asked = self.ask(BOOT)
            self.answer(status, body)
            self.assertEqual(self.failureResultOf(asked, VmmError).value.reason, reason)

    def test_no_answer(self) -> None:
        asked = self.ask(BOOT)
        self.reactor.advance(TIME_LIMIT)
        self.assertTrue(self.transport.disconnected or self.transport.disconnecting)
        self.protocol.connectionLost(Failure(ConnectionDone()))
        reason = self.failureResultOf(asked, VmmError).value.reason
        self.assertEqual(reason, "PUT /api/v1/vm.boot: no answer within 10 seconds")

    def test_an_answer_without_an_end(self) -> None:
        asked = self.ask(BOOT)
        self.protocol.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (LONGEST + 1))
        self.assertTrue(self.transport.disconnecting)
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertIn("too long", self.failureResultOf(asked, VmmError).value.reason)

    def test_an_answer_cut_off(self) -> None:
        asked = self.ask(BOOT)
        self.protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertIn("cut off", self.failureResultOf(asked, VmmError).value.reason)

    def test_it_ends_instead(self) -> None:
        asked = self.ask(BOOT)
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(asked, ResponseFailed)

    def test_a_cancel(self) -> None:
        asked = self.ask(BOOT)
        asked.cancel()
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(asked, CancelledError, ResponseFailed)
