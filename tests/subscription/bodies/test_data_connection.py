"""Data connections: who may claim which, and for how long one may stay idle."""

from __future__ import annotations

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher

from subproxy.subscription.states import SubscriptionState as Connection
from subproxy.wire import messages as m
from tests.rigs.bulk_case import BODY, SIZE, BulkTestCase
from tests.rigs.data_line import Line


class TokenTests(BulkTestCase):
    def test_bad_claims(self) -> None:
        """Each is closed, counted and logged; the exchange is none the worse for it."""
        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        _, sink, number = self.begun()
        token = self.token()
        for identity, exchange, claimed, reason in (
            ("1", number, b"nonsense", "unknown"),
            ("2", number, token, "foreign"),
            ("1", number + 1, token, "exchange"),
        ):
            line = Line(self.world, identity)
            line.connect(exchange, claimed, BODY)
            self.assertTrue(line.closed)
            self.assertEqual(line.take(), b"")
            self.assertEqual(self.world.factory.context.tokens.counts[reason], 1)
        said = [event for event in events if "claims a data" in (event.get("log_format") or "")]
        self.assertEqual([each["reason"] for each in said], ["unknown", "foreign", "exchange"])
        self.assertEqual((sink.body, sink.error), (b"", None))
        good = Line(self.world)
        good.connect(number, token, BODY)
        again = Line(self.world)
        again.connect(number, token, BODY)
        self.assertTrue(again.closed)
        self.assertEqual(self.world.factory.context.tokens.counts["used"], 1)
        self.end(number, SIZE)
        self.assertTrue(sink.complete)

    def test_garbage_behind_a_body(self) -> None:
        """What follows a body is a connect, or the connection is closed."""
        for more in (m.Ping(b"1").encode(), b"garbage", b"9999999:"):
            _, _, number = self.begun()
            line = Line(self.world)
            line.connect(number, self.token(), BODY + more)
            self.end(number, SIZE)
            self.assertTrue(line.closed, more)

    def test_idle(self) -> None:
        """An idle connection is closed in the end."""
        _, _, number = self.begun()
        line = Line(self.world)
        line.connect(number, self.token(), BODY)
        self.end(number, SIZE)
        self.world.advance(59)
        self.assertFalse(line.closed)
        self.world.advance(2)
        self.assertTrue(line.closed)

    def test_not_idle_for_long(self) -> None:
        """The time begins anew with each body, and does not run while one is carried."""
        _, _, number = self.begun()
        line = Line(self.world)
        line.connect(number, self.token(), BODY)
        self.end(number, SIZE)
        self.world.advance(40)
        _, _, number = self.begun()
        line.connect(number, self.token(), BODY[:10])
        self.world.advance(30)
        self.assertFalse(line.closed)
        line.protocol.dataReceived(BODY[10:])
        self.end(number, SIZE)
        self.world.advance(59)
        self.assertFalse(line.closed)
        self.world.advance(2)
        self.assertTrue(line.closed)

    def test_who_does_not_know_is_not_asked(self) -> None:
        """Without bulk in hello nothing is offered: a large body comes in frames."""
        guest = self.world.serving("2", b"plain")
        self.assertFalse(guest.wire.bulk)
        self.world.ask(b"PUT", b"plain", body=None, length=SIZE)
        guest.pump()
        self.assertIsNone(guest.take(m.Request)[0].body)
        self.assertEqual(self.world.factory.context.tokens.counts["issued"], 0)

    def test_stop(self) -> None:
        """At the end data connections are closed with the rest."""
        _, _, number = self.begun()
        line = Line(self.world)
        line.connect(number, self.token())
        self.assertIs(line.protocol.state, Connection.DATA)
        self.world.factory.close(b"shutdown", "over")
        self.assertTrue(line.closed)
