"""Answers that no guest gives."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from subproxy.telemetry.exchange_record import ExchangeRecord, IExchangeLog
from tests.rigs.fake_dispatcher import Client
from tests.rigs.http_oracle import Recorder


@implementer(IExchangeLog)
class KeepsRecords:
    """A log."""

    def __init__(self) -> None:
        self.records: list[ExchangeRecord] = []

    def exchangeEnded(self, record: ExchangeRecord) -> None:
        self.records.append(record)


class AnswerTests(SynchronousTestCase):
    def test_what_is_refused_is_logged(self) -> None:
        """No guest hears of it."""
        recorder = Recorder()
        client = Client(log=recorder)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        self.assertTrue(client.received().startswith(b"HTTP/1.1 400 "))
        self.assertEqual([status for _, status, _ in recorder.exchanges], [400])
        self.assertEqual(client.dispatcher.guests, [])

    def test_the_token_of_a_link_is_not_logged(self) -> None:
        """Nobody has looked which site a request is for, or whether it is one."""
        for begin in (
            b"GET /x?a=b&subproxy_link=x.y HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET /x?subproxy_link=x.y&a=b HTTP/1.1\r\n a: b\r\n\r\n",
            b"POST /x?subproxy_link=x.y&a=b HTTP/1.1\r\nHost: a\r\n"
            b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
        ):
            recorder = KeepsRecords()
            client = Client(log=recorder)
            client.send(begin)
            [record] = recorder.records
            self.assertEqual((record.status, record.exchange.request.target), (400, b"/x?a=b"))

    def test_for_all(self) -> None:
        """The connection stays, unless a body comes with it."""
        for more, closed in [(b"", False), (b"Content-Length: 5\r\n", True)]:
            client = Client()
            client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n" + more + b"\r\n")
            self.assertIn(b"\r\nAllow: ", client.received())
            self.assertEqual(client.transport.halfClosed, closed)
            self.assertEqual(client.dispatcher.guests, [])
