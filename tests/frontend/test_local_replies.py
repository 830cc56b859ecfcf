"""Answers that no guest gives."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.fake_dispatcher import Client
from tests.rigs.http_oracle import Recorder


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
