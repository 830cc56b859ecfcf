"""docs/explanation/states.md is drawn of the tables."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.exchange import TRANSITIONS, ExchangeState
from tools import state_diagrams


class StatesPageTests(SynchronousTestCase):
    def test_it_is_current(self) -> None:
        """C{python -m tools.state_diagrams} writes it."""
        self.assertEqual(state_diagrams.PAGE.read_text(encoding="utf-8"), state_diagrams.page())

    def test_what_is_drawn(self) -> None:
        """Every state and every transition of a table, and no other."""
        drawn = state_diagrams.DIAGRAMS["An exchange"][1]()
        arrows = {
            f"    {state.name} --> {after.name}"
            for state in ExchangeState
            for after in TRANSITIONS[state]
        }
        self.assertEqual(
            {line for line in drawn.splitlines() if "-->" in line and "[*]" not in line}, arrows
        )
