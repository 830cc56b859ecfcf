"""What is logged for a virtual machine is limited."""

from __future__ import annotations

from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from subproxy.subscription.log_limiter import INFO, LINES, IdentityLogLimiter


class VoicesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.log_limiter = IdentityLogLimiter(lambda: self.now)
        self.events: list[dict[str, object]] = []
        self.log = Logger(namespace="test", observer=self.events.append)

    def say(self, identity: str) -> None:
        self.log_limiter.emit(self.log, INFO, identity, "{identity} says {what}", what="so")

    def test_loud_ones_silence_themselves_alone(self) -> None:
        """Ten lines a second each; then how many were left out."""
        for _ in range(50):
            self.say("loud")
        self.say("quiet")
        self.assertEqual(len(self.events), LINES + 1)
        self.assertEqual(self.log_limiter.held, 50 - LINES)
        self.now = 1.0
        self.say("quiet")
        told = [event for event in self.events if "count" in event]
        self.assertEqual([(event["identity"], event["count"]) for event in told], [("loud", 40)])
        self.say("loud")
        self.assertEqual(self.events[-1]["identity"], "loud")

    def test_identities_are_not_kept(self) -> None:
        """However many there are in one second."""
        for number in range(10_000):
            self.say(str(number))
        self.assertLess(len(self.log_limiter._limits), 5000)
