"""A changed module in a process."""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType, ModuleType

from twisted.trial.unittest import SynchronousTestCase

from tools.mutation.change import Functions, changed_functions, importers, module_name

SOURCE = """
LIMIT = 3

def outer(a):
    def inner(b):
        return a + b
    return inner(1)

class Box:
    size = 4

    def grow(self):
        self.size += 1
        return self.size

pair = (lambda: 1, lambda: 1)
"""


def compiled(source: str, file: str = "box.py") -> CodeType:
    return compile(source, file, "exec")


class ChangedFunctionsTests(SynchronousTestCase):
    def changed(self, old: str, new: str) -> set[str] | None:
        self.assertIn(old, SOURCE)
        codes = changed_functions(compiled(SOURCE), compiled(SOURCE.replace(old, new)))
        return None if codes is None else {name for name, _ in codes}

    def test_nothing(self) -> None:
        source = SOURCE.partition("pair")[0]
        self.assertEqual(changed_functions(compiled(source), compiled(source)), {})

    def test_inside_functions(self) -> None:
        source = SOURCE.partition("pair")[0]
        for old, new, names in (
            ("self.size += 1", "self.size -= 1", {"grow"}),
            ("a + b", "a - b", {"outer", "inner"}),
            ("inner(1)", "inner(2)", {"outer"}),
            ("inner(1)", "inner(True)", {"outer"}),
        ):
            codes = changed_functions(compiled(source), compiled(source.replace(old, new)))
            assert codes is not None
            self.assertEqual({name for name, _ in codes}, names)

    def test_what_an_import_does(self) -> None:
        """A module has to be imported anew for it."""
        self.assertIsNone(self.changed("LIMIT = 3", "LIMIT = 4"))
        self.assertIsNone(self.changed("size = 4", "size = 5"))
        # What is held of the function around it differs.
        self.assertIsNone(self.changed("a + b", "b + b"))
        # Which of the two it is cannot be told.
        self.assertIsNone(self.changed("(lambda: 1, lambda: 1)", "(lambda: 1, lambda: 2)"))

    def test_comprehensions(self) -> None:
        """One that a module or class has is gone behind its import; a function's is made anew."""
        for before, after in (
            ("SUM = sum(1 << bit for bit in range(4))", "SUM = sum(2 << bit for bit in range(4))"),
            (
                "class Box:\n    odd = [i | 1 for i in (1, 2)]",
                "class Box:\n    odd = [i | 2 for i in (1, 2)]",
            ),
        ):
            self.assertIsNone(changed_functions(compiled(before), compiled(after)))
        before = "def total():\n    return sum(1 << bit for bit in range(4))"
        codes = changed_functions(compiled(before), compiled(before.replace("1 <<", "2 <<")))
        assert codes is not None
        self.assertIn("total", {name for name, _ in codes})


class FunctionsTests(SynchronousTestCase):
    def test_who_holds_a_function_holds_the_changed_one(self) -> None:
        file = Path(self.mktemp()).absolute()
        source = SOURCE.partition("pair")[0]
        module = ModuleType("box")
        exec(compiled(source, str(file)), module.__dict__)
        box = module.__dict__["Box"]()
        grow = box.grow
        codes = changed_functions(
            compiled(source, str(file)), compiled(source.replace("+= 1", "+= 10"), str(file))
        )
        assert codes is not None
        functions = Functions()
        self.assertTrue(functions.holds(file, codes))
        self.assertFalse(functions.holds(file.with_name("other"), codes))
        functions.change(file, codes)
        self.assertEqual(grow(), 14)


class NameTests(SynchronousTestCase):
    def test_names(self) -> None:
        self.assertEqual(module_name(Path("subproxy/core/states.py")), "subproxy.core.states")
        self.assertEqual(module_name(Path("subproxy/core/__init__.py")), "subproxy.core")
        self.assertIn(module_name(Path("tools/mutation/change.py")), sys.modules)

    def test_importers(self) -> None:
        sources = {
            Path("a.py"): "from subproxy.core.states import Table",
            Path("b.py"): "from subproxy.core import states",
            Path("c.py"): "from subproxy.core import other",
            Path("d.py"): "if True:\n    from subproxy.core import other, states",
        }
        found = set(importers(Path("subproxy/core/states.py"), sources))
        self.assertEqual({path.name for path in found}, {"a.py", "b.py", "d.py"})
