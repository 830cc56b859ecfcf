"""State machines as tables."""

from __future__ import annotations

from enum import Enum, auto

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.exchange import TRANSITIONS as EXCHANGE
from subproxy.core.exchange import ExchangeState
from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable
from subproxy.subscription.bodies.data_connection import TRANSITIONS as DATA_CONNECTION
from subproxy.subscription.bodies.data_connection_state import DataConnectionState
from subproxy.subscription.bodies.transfer import TRANSITIONS as TRANSFER
from subproxy.subscription.bodies.transfer import TransferState
from subproxy.subscription.states import TRANSITIONS as SUBSCRIPTION
from subproxy.subscription.states import SubscriptionState


@fast_enum
class Light(Enum):
    RED = auto()
    GREEN = auto()
    OFF = auto()


TABLE = TransitionTable(
    {Light.RED: {Light.OFF, Light.GREEN}, Light.GREEN: {Light.OFF}, Light.OFF: ()}
)


class TransitionTableTests(SynchronousTestCase):
    def test_what_is_in_the_table(self) -> None:
        """The state after it is returned."""
        self.assertIs(TABLE.move(Light.RED, Light.GREEN), Light.GREEN)

    def test_what_is_not(self) -> None:
        """It is a bug of ours, and is named; assertions that are switched off don't hide it."""
        error = self.assertRaises(AssertionError, TABLE.move, Light.GREEN, Light.RED)
        self.assertEqual(str(error), "Light.GREEN to Light.RED")
        self.assertRaises(AssertionError, TABLE.move, Light.OFF, Light.OFF)

    def test_mapping(self) -> None:
        """It is read as any mapping is."""
        self.assertEqual(list(TABLE), list(Light))
        self.assertEqual(len(TABLE), 3)
        self.assertEqual(TABLE[Light.GREEN], frozenset({Light.OFF}))

    def test_diagram(self) -> None:
        """As Mermaid reads it; the states in the order of the table."""
        self.assertEqual(
            TABLE.diagram(),
            "stateDiagram-v2\n"
            "    [*] --> RED\n"
            "    RED --> GREEN\n"
            "    RED --> OFF\n"
            "    GREEN --> OFF\n"
            "    OFF --> [*]\n",
        )


class MachineTests(SynchronousTestCase):
    """The machines of the house."""

    def test_complete(self) -> None:
        """Each table has all states of its machine, in their order, and an end that all reach."""
        for table, states, end in (
            (EXCHANGE, ExchangeState, ExchangeState.DONE),
            (DATA_CONNECTION, DataConnectionState, DataConnectionState.CLOSED),
            (TRANSFER, TransferState, TransferState.OVER),
            (SUBSCRIPTION, SubscriptionState, SubscriptionState.CLOSED),
        ):
            self.assertEqual(list(table), list(states))
            self.assertEqual(table[end], frozenset())
            for state in table:
                if state is not end:
                    self.assertIn(end, table[state])

    def test_hash(self) -> None:
        """Their states are keys without Python code."""
        for kind in (ExchangeState, DataConnectionState, TransferState, SubscriptionState):
            self.assertIs(kind.__hash__, object.__hash__)
