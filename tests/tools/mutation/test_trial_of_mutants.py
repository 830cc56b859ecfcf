"""Tests of L{tools.mutation.trial_of_mutants}."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tools.mutation import trial_of_mutants


class KillerTests(SynchronousTestCase):
    def killer(self, with_mutant: dict[str, str], without: Collection[str] = ()) -> str | None:
        """Which of C{a}, C{b}, C{c} kills, where those end so; C{without} fail in any case."""

        def mutant() -> None:
            pass

        def in_a_process(
            change: Callable[[], None], tests: list[tuple[str, float]], find: Callable[[str], Any]
        ) -> str | None:
            for name, _ in tests:
                if name in without:
                    return name
                if change is mutant and name in with_mutant:
                    return with_mutant[name]
            return None

        self.patch(trial_of_mutants, "_in_a_process", in_a_process)
        tests = [(name, 1.0) for name in "abc"]
        return trial_of_mutants._killer(mutant, lambda: None, tests, {}.__getitem__, self.sound)

    def setUp(self) -> None:
        self.sound: dict[str, bool] = {}

    def test_the_first_that_fails(self) -> None:
        self.assertEqual(self.killer({"b": "b", "c": "c"}), "b")
        self.assertIsNone(self.killer({}))

    def test_one_that_fails_by_itself_kills_nobody(self) -> None:
        """And is not asked again."""
        self.assertEqual(self.killer({"b": "b"}, {"a"}), "b")
        self.assertIsNone(self.killer({}, {"a", "c"}))
        self.assertEqual(self.sound, {"a": False, "b": True, "c": False})

    def test_what_else_ends_it(self) -> None:
        self.assertEqual(self.killer({"a": "(time)"}), "(time)")
