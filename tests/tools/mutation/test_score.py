"""Which tests a mutant is tried against, and what is said of a part of them all."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tools.mutation.__main__ import Choice, modules_of, score, unnumbered, wilson
from tools.mutation.mutants import Mutant
from tools.mutation.reached import Reached

MODULE = Path("subproxy/core/states.py")
OWN = "tests.core.test_states.T.test_own"
NEAR = "tests.core.test_other.T.test_near"
FAR = "tests.app.test_build.T.test_far"
SLOW = "tests.app.test_build.T.test_slow"


class ChoiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        seconds = {SLOW: 9.0, FAR: 0.1, NEAR: 2.0, OWN: 5.0}
        lines = {str(MODULE): {1: [-1], 4: [0, 1, 2, 3], 6: [1]}}
        self.reached = Reached(seconds, lines)
        self.mutant = Mutant(MODULE, 0, "told", 4, 4)

    def chosen(self, budget: float, mutant: Mutant, imported: bool = False) -> list[str]:
        choice = Choice(self.reached, {MODULE: ""}, budget)
        return [name for name, _ in choice.tests(mutant, imported)]

    def test_the_nearest_first(self) -> None:
        self.assertEqual(self.chosen(20, self.mutant), [OWN, NEAR, FAR, SLOW])

    def test_those_that_take_so_long(self) -> None:
        self.assertEqual(self.chosen(6, self.mutant), [OWN, FAR])
        self.assertEqual(self.chosen(0.01, self.mutant), [OWN])

    def test_what_an_import_does_is_for_all_of_the_module(self) -> None:
        first = Mutant(MODULE, 0, "told", 1, 1)
        self.assertEqual(self.chosen(20, first), [])
        self.assertEqual(self.chosen(20, first, imported=True), [OWN, NEAR, FAR, SLOW])

    def test_a_table_is_for_its_own_tests(self) -> None:
        """They may look at it, and reach no line."""
        table = Mutant(Path("subproxy/core/other.py"), 0, "told", 1, 1)
        self.assertEqual(self.chosen(20, table, imported=True), [NEAR])


class ScoreTests(SynchronousTestCase):
    def test_wilson(self) -> None:
        """Against the values of Newcombe (1998), table I."""
        for killed, tried, low, high in (
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ):
            found = wilson(killed, tried)
            self.assertAlmostEqual(found[0], low, 3)
            self.assertAlmostEqual(found[1], high, 3)

    def test_all_or_a_part(self) -> None:
        self.assertEqual(score(3, 4, 4), "3 of 4 killed, 75.0 %")
        self.assertEqual(score(3, 4, 9), "3 of 4 killed, 75.0 % (30.1 to 95.4 % of all 9)")
        self.assertIn("0.0 %", score(0, 0, 0))

    def test_a_row_may_have_moved(self) -> None:
        self.assertEqual(unnumbered("a.py:12: x -> y"), unnumbered("a.py:340: x -> y"))

    def test_paths_of_one_score(self) -> None:
        both = modules_of("tools/mutation/change.py,tools/mutation/mutants.py")
        self.assertEqual([path.name for path in both], ["change.py", "mutants.py"])
