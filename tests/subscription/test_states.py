"""The table of a connection's states."""

from twisted.trial.unittest import SynchronousTestCase

from subproxy.subscription.states import TRANSITIONS, SubscriptionState


class StateTests(SynchronousTestCase):
    def test_transitions_end(self) -> None:
        """Nothing comes after CLOSED, and every state can reach it."""
        self.assertEqual(TRANSITIONS[SubscriptionState.CLOSED], frozenset())
        for state in SubscriptionState:
            if state is not SubscriptionState.CLOSED:
                self.assertIn(SubscriptionState.CLOSED, TRANSITIONS[state])
