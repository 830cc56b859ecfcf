"""The table of a connection's states."""

from twisted.trial.unittest import SynchronousTestCase

from subproxy.subscription.states import TRANSITIONS, State


class StateTests(SynchronousTestCase):
    def test_transitions_end(self) -> None:
        """Nothing comes after CLOSED, and every state can reach it."""
        self.assertEqual(TRANSITIONS[State.CLOSED], frozenset())
        for state in State:
            if state is not State.CLOSED:
                self.assertIn(State.CLOSED, TRANSITIONS[state])
