"""Ends that are told a little later."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.subscription.bodies.late_ends import LATE, LateEnds
from subproxy.subscription.bodies.tokens import Tokens


class Connection:
    """Counts how often it has told its end."""

    def __init__(self) -> None:
        self.told = 0

    def tell_end(self) -> None:
        self.told += 1


class LateEndsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.connection = Connection()

    def wait(self, ends: LateEnds) -> None:
        """Its end waits, as compiled code has it wait."""
        ends.waiting.append(self.connection)
        if ends.timer is None:
            ends.wait()

    def test_in_time(self) -> None:
        """Whoever waits is told when the first has waited for long enough; then nobody waits."""
        ends = LateEnds(self.clock)
        self.wait(ends)
        self.clock.advance(LATE / 2)
        self.wait(ends)
        self.assertEqual(self.connection.told, 0)
        self.clock.advance(LATE / 2)
        self.assertEqual((self.connection.told, ends.waiting, ends.timer), (2, [], None))

    def test_before_a_token(self) -> None:
        """A guest that is to claim one may need the connection: and is told once."""
        tokens = Tokens(self.clock, 2.0)
        waiting = tokens.ends.waiting
        self.wait(tokens.ends)
        tokens.issue("vm", 1, lambda connection: None, lambda: None)
        self.assertEqual(self.connection.told, 1)
        self.clock.advance(LATE)
        self.assertEqual(self.connection.told, 1)
        # Compiled code holds the list itself.
        self.assertIs(tokens.ends.waiting, waiting)
