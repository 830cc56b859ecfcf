"""More rows of the table of docs/reference/http.md: from paths to deadlines."""

from __future__ import annotations

import gzip

from subproxy.errors import ClientGone, GuestGone, NoSubscriber
from subproxy.frontend.limits import HttpLimits
from tests.rigs.fake_dispatcher import Client
from tests.rigs.http_table import HttpTableCase, get, ok, status


class HttpTableMoreTests(HttpTableCase):
    def test_path(self) -> None:
        client = self.passed(get(target=b"/a/./b/../%7Euser//c%2fd?q=/../x"))
        request = client.guest.exchange.request
        self.assertEqual(request.target, b"/a/./b/../%7Euser//c%2fd?q=/../x")
        self.assertEqual(request.path, b"/a/~user/c%2Fd")
        for bad in (b"/%", b"/%0", b"/%zz", b"/%00", b"/a\\b", b"/\xc3\xa9", b'/"', b"/<a>"):
            self.refused(get(target=bad), 400)

    def test_hash_in_a_target(self) -> None:
        self.refused(get(target=b"/a#b"), 400)

    def test_pipelining(self) -> None:
        client = Client()
        client.send(b"".join(get(target=b"/%d" % number) for number in range(50)))
        self.assertEqual(len(client.dispatcher.guests), 1)
        # What comes on top of what is held stops the reading.
        client.send(get(target=b"/more"))
        self.assertFalse(client.reading)
        for number in range(50):
            self.assertEqual(client.guest.exchange.request.target, b"/%d" % number)
            client.guest.respond(200, [], b"%d" % number)
            self.assertTrue(client.received().endswith(b"\r\n\r\n%d" % number))
        self.assertEqual(client.guest.exchange.request.target, b"/more")
        client.guest.respond()
        self.assertTrue(client.reading)
        self.assertFalse(client.closed)

    def test_upgrade(self) -> None:
        fields = b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAA"
        client = self.passed(get(*fields, b"Content-Length: 5") + b"hello")
        self.assertEqual(client.guest.exchange.body, b"hello")
        names = set(self.fields(client))
        self.assertFalse(names & {b"upgrade", b"connection", b"http2-settings"})
        self.assertFalse(client.closed)

    def test_uri_too_long_headers_too_large(self) -> None:
        self.refused(get(target=b"/" + b"a" * 9000), 414)
        self.refused(b"GET /" + b"a" * 9000, 414)
        self.refused(get(b"X-A: " + b"b" * 40_000), 431)
        self.refused(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"b" * 40_000, 431)
        self.refused(get(*[b"X-%d: a" % number for number in range(200)]), 431)
        self.refused(get(*[b"X-%d: a" % number for number in range(5000)]), 431)
        self.passed(get(target=b"/" + b"a" * 8000))

    def test_body_too_large(self) -> None:
        limits = HttpLimits(body=10)
        client = Client(ok, limits)
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n")
        self.assertEqual(status(client.received()), 413)
        self.assertTrue(client.closed)
        client = Client(ok, limits)
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789")
        self.assertEqual(status(client.received()), 200)
        client = Client(None, limits)
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.guest.exchange.resume_request()
        client.send(b"6\r\nhello \r\n")
        self.assertEqual(client.received(), b"")
        client.send(b"5\r\nthere\r\n")
        self.assertEqual(status(client.received()), 413)
        self.assertTrue(client.closed)
        assert client.guest.cancelled is not None

    def test_upstream_gone_before_an_answer(self) -> None:
        # Whether it is tried again is the dispatcher's part; when it is not, this is the answer.
        client = Client()
        client.send(get())
        client.guest.exchange.fail(GuestGone("killed, with secrets"))
        received = client.received()
        self.assertEqual(status(received), 502)
        self.assertNotIn(b"secrets", received)
        self.assertFalse(client.closed)

    def test_no_subscriber_slow_guest(self) -> None:
        client = Client(lambda guest: guest.exchange.fail(NoSubscriber()))
        client.send(get())
        received = client.received()
        self.assertEqual(status(received), 503)
        self.assertIn(b"\r\nRetry-After: 1\r\n", received)
        request_id = client.guest.exchange.request.request_id
        self.assertIn(b"\r\nX-Request-Id: " + request_id + b"\r\n", received)
        self.assertIn(b"request id: " + request_id, received)
        client = Client(limits=HttpLimits(response_timeout=5))
        client.send(get())
        client.wait(4.5)
        self.assertEqual(client.received(), b"")
        client.wait(1)
        self.assertEqual(status(client.received()), 504)
        assert client.guest.cancelled is not None
        self.assertEqual(client.guest.cancelled.code, "guest-slow")
        self.assertFalse(client.closed)

    def test_client_leaves(self) -> None:
        client = Client()
        client.send(get())
        client.lose()
        self.assertIsInstance(client.guest.cancelled, ClientGone)
        client = Client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello")
        client.guest.exchange.resume_request()
        client.lose()
        self.assertIsInstance(client.guest.cancelled, ClientGone)

    def test_client_half_closes(self) -> None:
        client = Client()
        client.send(get())
        client.halfClose()
        self.assertFalse(client.closed)
        client.guest.respond(200, [], b"hello")
        received = client.received()
        self.assertEqual(status(received), 200)
        self.assertIn(b"\r\nConnection: close\r\n", received)
        self.assertTrue(client.closed)

    def test_date_server(self) -> None:
        client = Client()
        client.send(get())
        client.guest.respond()
        received = client.received()
        self.assertIn(b"\r\nDate: Thu, 01 Jan 1970 00:16:40 GMT\r\n", received)
        self.assertNotIn(b"\r\nServer:", received)
        client.send(get())
        client.guest.respond(200, [(b"date", b"Sun, 06 Nov 1994 08:49:37 GMT"), (b"Server", b"x")])
        received = client.received()
        self.assertIn(b"\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n", received)
        self.assertEqual(received.lower().count(b"\r\ndate:"), 1)
        self.assertIn(b"\r\nServer: x\r\n", received)

    def test_deadlines(self) -> None:
        limits = HttpLimits(
            header_timeout=5,
            body_grace=5,
            body_rate=100,
            keepalive_timeout=20,
            requests=2,
        )
        # A head: in all, however often a byte comes.
        client = Client(ok, limits)
        for byte in get():
            client.send(bytes((byte,)))
            client.wait(0.5)
            if client.closed:
                break
        self.assertEqual(status(client.received()), 408)
        # A body: at its rate.
        client = Client(ok, limits)
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n")
        for _ in range(100):
            client.send(b"x")
            client.wait(0.5)
            if client.closed:
                break
        self.assertEqual(status(client.received()), 408)
        # Between requests.
        client = Client(ok, limits)
        client.wait(19)
        client.send(get())
        client.received()
        client.wait(19)
        self.assertFalse(client.closed)
        client.wait(1.5)
        self.assertTrue(client.closed)
        self.assertEqual(client.received(), b"")
        # In number.
        client = Client(ok, limits)
        client.send(get())
        self.assertNotIn(b"Connection: close", client.received())
        client.send(get())
        self.assertIn(b"Connection: close", client.received())
        self.assertTrue(client.closed)
        # An answer: at its rate too.
        client = Client(None, limits)
        client.send(get())
        client.guest.respond(200, [], None)
        client.transport.stalled = True
        client.guest.data(b"x" * 90_000)
        client.wait(4.5)
        self.assertFalse(client.closed)
        client.wait(1)
        self.assertTrue(client.transport.aborted)

    def test_gzip_body_is_not_touched(self) -> None:
        body = gzip.compress(bytes(1000))
        client = Client()
        client.send(get())
        client.guest.respond(200, [(b"Content-Encoding", b"gzip")], body)
        self.assertTrue(client.received().endswith(b"\r\n\r\n" + body))
