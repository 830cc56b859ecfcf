"""The receiving side of a connection: the table."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.relay.receiving import TRANSITIONS, UNHEARD, ReceivingState


class ReceivingTests(SynchronousTestCase):
    def test_all_states_have_a_row(self) -> None:
        self.assertEqual(set(TRANSITIONS), set(ReceivingState))

    def test_what_has_ended_stays_so(self) -> None:
        """Nobody reads on behind the FIN of the peer, whatever was lent before it."""
        for state in ReceivingState:
            self.assertIs(TRANSITIONS.move(state, ReceivingState.ENDED), ReceivingState.ENDED)
        for state in set(ReceivingState) - {ReceivingState.ENDED}:
            with self.assertRaises(AssertionError):
                TRANSITIONS.move(ReceivingState.ENDED, state)

    def test_nothing_is_lent_or_stopped_twice(self) -> None:
        """Who does either has lost sight of the state."""
        for state in set(ReceivingState) - {ReceivingState.ENDED}:
            with self.assertRaises(AssertionError):
                TRANSITIONS.move(state, state)

    def test_who_is_not_heard(self) -> None:
        self.assertEqual(UNHEARD, {ReceivingState.PAUSED, ReceivingState.LENT})
