"""Tests of subproxy.fastpath.twins: the table is true, and each side names the other."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.fastpath.twins import TWINS
from tests.rigs.paths import ROOT


def module_of(name: str, suffix: str) -> tuple[str, Path]:
    """The module that C{name} is in, and its source."""
    parts = name.split(".")
    while parts:
        path = ROOT.joinpath(*parts).with_suffix(suffix)
        if path.is_file():
            return ".".join(parts), path
        parts.pop()
    raise AssertionError(f"there is no such module: {name}")


def python(name: str) -> Any:
    """What has that full name in Python."""
    module, _ = module_of(name, ".py")
    found = import_module(module)
    for part in name.removeprefix(module + ".").split("."):
        found = getattr(found, part)
    return found


class TwinTests(SynchronousTestCase):
    skip = unavailable()

    def test_all_of_it_is_there(self) -> None:
        """The functions and classes of both sides, and the tests that compare them."""
        for rule, twin in TWINS.items():
            for name in twin.references:
                self.assertTrue(callable(python(name)), f"{rule}: {name}")
            for name in twin.compiled:
                module, path = module_of(name, ".pyx")
                function = re.escape(name.removeprefix(module + "."))
                defined = rf"^[ \t]*(?:cdef|def|cpdef)\b[^=(\n]*\b{function}\b[^=\n]*[:(]"
                self.assertTrue(re.search(defined, path.read_text(), re.M), f"{rule}: {name}")
            test = python(twin.test)
            self.assertTrue(test.__name__.startswith("test_"), f"{rule}: {twin.test}")

    def test_each_side_names_the_other(self) -> None:
        """In the docstring of its module."""
        for rule, twin in TWINS.items():
            for reference in twin.references:
                module, path = module_of(reference, ".py")
                said = ast.get_docstring(ast.parse(path.read_text())) or ""
                for compiled in twin.compiled:
                    other, source = module_of(compiled, ".pyx")
                    self.assertIn(f"L{{{other}}}", said, f"{rule}: {module}")
                    found = re.search(r'"""(.*?)"""', source.read_text(), re.S)
                    assert found is not None
                    self.assertIn(f"C{{{module}}}", found[1], f"{rule}: {other}")

    def test_what_is_not_there_is_missed(self) -> None:
        """A name that is gone on either side."""
        self.assertRaises(AssertionError, module_of, "nowhere.at.all", ".pyx")
        self.assertRaises(AttributeError, python, "subproxy.core.routing.router.Gone")
