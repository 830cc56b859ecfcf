"""Why a connection of a guest is closed: each reason is told by the connection, and by the log."""

from __future__ import annotations

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.policy import Policy, Quotas
from subproxy.subscription.close_reason import GuestCloseReason
from subproxy.subscription.protocol import MOST_THROWN
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.wire import messages as m
from tests.rigs.bulk_case import BODY, SIZE, BulkTestCase
from tests.rigs.data_line import Line
from tests.rigs.world import World


class SubscriptionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.guest = self.world.serving("10")

    def test_not_closed(self) -> None:
        """A connection that stays has no reason, nor has one that the guest closes itself."""
        self.assertIsNone(self.guest.protocol.closed)
        self.guest.lose()
        self.assertIsNone(self.guest.protocol.closed)

    def test_not_admitted(self) -> None:
        self.world.registrar.policy = Policy(None, Quotas(connections=1))
        refused = self.world.guest("10")
        self.assertIs(refused.protocol.closed, GuestCloseReason.NOT_ADMITTED)

    def test_bye(self) -> None:
        self.guest.say(m.Bye())
        self.assertIs(self.guest.protocol.closed, GuestCloseReason.BYE_SAID)

    def test_no_answer_to_bye(self) -> None:
        """The first reason stands."""
        self.guest.protocol.close(b"done", "")
        self.assertIsNone(self.guest.protocol.closed)
        self.world.advance(SubscriptionSettings().closing_timeout)
        self.assertIs(self.guest.protocol.closed, GuestCloseReason.BYE_UNANSWERED)
        self.guest.protocol.dataReceived(b"x" * (MOST_THROWN + 1))
        self.assertIs(self.guest.protocol.closed, GuestCloseReason.BYE_UNANSWERED)

    def test_talks_after_bye(self) -> None:
        self.guest.protocol.close(b"done", "")
        self.guest.protocol.dataReceived(b"x" * (MOST_THROWN + 1))
        self.assertIs(self.guest.protocol.closed, GuestCloseReason.TALKS_AFTER_BYE)

    def test_overdrawn(self) -> None:
        """What was closed is lost in the end, and the log says why."""
        seen: list[object] = []

        def observe(event: dict[str, object]) -> None:
            if "lost: " in str(event.get("log_format")):
                seen.append(event["closed"])

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.world.registrar.policy = Policy(None, Quotas(buffer=10_000))
        self.guest.protocol.dataReceived(b"200000:" + b"x" * 20_000)
        self.assertIs(self.guest.protocol.closed, GuestCloseReason.OVERDRAWN)
        self.guest.lose()
        self.assertEqual(seen, ["overdrawn"])


class DataConnectionTests(BulkTestCase):
    def carried(self, more: bytes = b"") -> tuple[Line, int]:
        """A connection over which a body came, with C{more} behind it."""
        _, _, number = self.begun()
        line = Line(self.world)
        line.connect(number, self.token(), BODY + more)
        self.end(number, SIZE)
        return line, number

    def test_bad_token(self) -> None:
        line = Line(self.world)
        line.connect(1, b"nonsense")
        self.assertIs(line.protocol.closed, GuestCloseReason.BAD_TOKEN)

    def test_not_needed(self) -> None:
        tokens = self.world.factory.context.tokens
        claim = tokens.issue("vm:1", 1, lambda connection: None, lambda: None)
        line = Line(self.world)
        line.connect(1, claim.token)
        self.assertIs(line.protocol.closed, GuestCloseReason.NOT_NEEDED)

    def test_protocol(self) -> None:
        line, _ = self.carried(b"garbage")
        self.assertIs(line.protocol.closed, GuestCloseReason.PROTOCOL)

    def test_idle(self) -> None:
        line, _ = self.carried()
        self.assertIsNone(line.protocol.closed)
        self.world.advance(SubscriptionSettings().data_idle)
        self.assertIs(line.protocol.closed, GuestCloseReason.IDLE)

    def test_exchange_over(self) -> None:
        _, _, number = self.begun()
        line = Line(self.world)
        line.connect(number, self.token(), BODY[:10])
        self.guest.say(m.Abort(number, b"error"))
        self.assertIs(line.protocol.closed, GuestCloseReason.EXCHANGE_OVER)

    def test_broke(self) -> None:
        _, _, number = self.begun()
        line = Line(self.world)
        line.connect(number, self.token(), BODY[:10])
        assert line.protocol.data is not None
        line.protocol.data.broke()
        self.assertIs(line.protocol.closed, GuestCloseReason.BROKE)

    def test_shutdown(self) -> None:
        line, _ = self.carried()
        self.world.factory.close(b"shutdown", "over")
        self.assertIs(line.protocol.closed, GuestCloseReason.SHUTDOWN)


class KindTests(SynchronousTestCase):
    def test_orderly(self) -> None:
        """What was said before reaches the guest only where it is to read it."""
        orderly = {reason for reason in GuestCloseReason if reason.orderly}
        self.assertEqual(orderly, {GuestCloseReason.NOT_ADMITTED, GuestCloseReason.BYE_SAID})
