"""Answers that no guest gives."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.own_answers import unreadable
from tests.fake_dispatcher import Client
from tests.http_oracle import Recorder


class UnreadableTests(SynchronousTestCase):
    def test_its_first_line_is_told(self) -> None:
        """To the log, and no more than a bit of it."""
        for data, line in [
            (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /\x00 HTTP/1.1"),
            (b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1"),
            (b"x" * 1000, b"x" * 256),
            (b"", b""),
        ]:
            head = unreadable(data, b"192.0.2.7", b"id")
            self.assertEqual((head.target, head.method), (line, b""))
            self.assertEqual((head.client, head.request_id), (b"192.0.2.7", b"id"))

    def test_head(self) -> None:
        """Who asks with HEAD gets no body, whatever is wrong."""
        self.assertEqual(unreadable(b"HEAD / HTTP/9\r\n", b"", b"").method, b"HEAD")


class AnswerTests(SynchronousTestCase):
    def test_what_is_refused_is_logged(self) -> None:
        """No guest hears of it."""
        recorder = Recorder()
        client = Client(log=recorder)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        self.assertTrue(client.received().startswith(b"HTTP/1.1 400 "))
        self.assertEqual([status for _, status, _ in recorder.exchanges], [400])
        self.assertEqual(client.dispatcher.guests, [])

    def test_for_all(self) -> None:
        """The connection stays, unless a body comes with it."""
        for more, closed in [(b"", False), (b"Content-Length: 5\r\n", True)]:
            client = Client()
            client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n" + more + b"\r\n")
            self.assertIn(b"\r\nAllow: ", client.received())
            self.assertEqual(client.transport.halfClosed, closed)
            self.assertEqual(client.dispatcher.guests, [])
