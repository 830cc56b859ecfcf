"""What was recorded of the lines that tests reach."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.paths import ROOT
from tools.mutation.reached import Reached, cases, joined, unit_modules

A = Path("a.py")


class ReachedTests(SynchronousTestCase):
    def setUp(self) -> None:
        first = Reached(
            {"t.one": 0.1, "t.two": 0.2}, {"a.py": {1: [-1], 5: [0], 6: [0, 1]}}, ["t.x"]
        )
        # The second case was imported by another module, too, and was run there first.
        second = Reached({"t.two": 0.3, "t.three": 0.4}, {"a.py": {6: [0, 1], 7: [1]}})
        self.reached = joined([first, second])

    def test_tests_of_lines(self) -> None:
        self.assertEqual(self.reached.tests(A, 5, 5), {"t.one"})
        self.assertEqual(self.reached.tests(A, 6, 6), {"t.one", "t.two", "t.three"})
        self.assertEqual(self.reached.tests(A, 7, 9), {"t.three"})
        self.assertEqual(self.reached.tests(Path("b.py"), 1, 9), set())

    def test_a_module(self) -> None:
        self.assertEqual(self.reached.of_module(A), {"t.one", "t.two", "t.three"})
        self.assertEqual(self.reached.of_module(Path("b.py")), set())

    def test_imported(self) -> None:
        """It belongs to no test."""
        self.assertTrue(self.reached.imported(A, 1, 4))
        self.assertFalse(self.reached.imported(A, 5, 7))
        self.assertEqual(self.reached.tests(A, 1, 4), set())

    def test_a_case_of_two_modules_is_one(self) -> None:
        self.assertEqual(self.reached.seconds["t.two"], 0.2)
        self.assertEqual(self.reached.failed, ["t.x"])


class CaseTests(SynchronousTestCase):
    def test_unit_modules(self) -> None:
        """Those of the unit tests alone."""
        found = unit_modules(ROOT)
        self.assertIn(__name__, found)
        self.assertFalse([name for name in found if ".integration." in name or ".fuzz." in name])

    def test_cases(self) -> None:
        name = f"{__name__}.CaseTests.test_cases"
        self.assertEqual(cases([__name__])[name].id(), name)

    def test_the_case_of_a_state_machine(self) -> None:
        """Hypothesis made its class; its name tells in which module it is found."""
        name = "tests.wire.test_machine.WireMachine.runTest"
        self.assertEqual(list(cases([name.rsplit(".", 2)[0]])), [name])
