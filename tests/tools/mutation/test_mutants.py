"""Which changes are made of a module."""

from __future__ import annotations

import ast
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tools.mutation.mutants import mutants

SOURCE = '''"""About."""

LIMIT: int = 3


def larger(a: int, b: int) -> bool:
    """Not changed: 5."""
    if (
        a > b
    ):
        return a > b and b < LIMIT
    raise ValueError(f"no {a + 1}")
'''


class MutantTests(SynchronousTestCase):
    def test_each_differs_from_the_module_in_one_place(self) -> None:
        found = set()
        plain = ast.unparse(ast.parse(SOURCE))
        for _, tree in mutants(Path("a.py"), SOURCE):
            mutant = ast.unparse(tree)
            self.assertNotEqual(mutant, plain)
            found.add(mutant)
            compile(tree, "a.py", "exec")
        self.assertEqual(len(found), 10)

    def test_the_module_is_whole_behind_them(self) -> None:
        tree = next(tree for _, tree in mutants(Path("a.py"), SOURCE))
        list(mutants(Path("a.py"), SOURCE))
        self.assertNotEqual(ast.unparse(tree), ast.unparse(ast.parse(SOURCE)))
        *_, (_, last) = mutants(Path("a.py"), SOURCE)
        self.assertEqual(ast.unparse(last), ast.unparse(ast.parse(SOURCE)))

    def test_where_they_are(self) -> None:
        """In the lines of their statement, without those of the statements within it."""
        found = {mutant.told: mutant for mutant, _ in mutants(Path("a.py"), SOURCE)}
        test = found["a.py:9: a > b -> a >= b   | a > b"]
        self.assertEqual((test.first, test.last), (8, 10))
        number = found["a.py:3: 3 -> 4   | LIMIT: int = 3"]
        self.assertEqual((number.first, number.last), (3, 3))
        self.assertEqual(len({mutant.number for mutant in found.values()}), len(found))
