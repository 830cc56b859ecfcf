"""docs/explanation/life-of-a-request.md names what exists."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.process.upgrade import START_LIMIT
from tests.rigs.paths import ROOT

PAGE = ROOT / "docs" / "explanation" / "life-of-a-request.md"
ROOMS = {path.name for path in (ROOT / "subproxy").iterdir() if path.is_dir()} | {"guest"}


def named(text: str) -> set[str]:
    """The dotted names between back-quotes that begin with a room of the house."""
    found = re.findall(r"`([a-z_0-9]+(?:\.\w+)+)`", text)
    return {each for each in found if each.partition(".")[0] in ROOMS}


def module_of(name: str) -> tuple[Path, list[str]] | None:
    """The file that a dotted name begins with, and the rest of the name."""
    parts = name.split(".")
    base = ROOT if parts[0] == "guest" else ROOT / "subproxy"
    for count in range(len(parts), 0, -1):
        for suffix in (".py", ".pyx"):
            path = base.joinpath(*parts[:count]).with_suffix(suffix)
            if path.exists():
                return path, parts[count:]
    return None


def defines(text: str, names: list[str]) -> bool:
    """Whether a source defines a function, a class, or a method of a class, by that name."""
    indent, callable_ = "", r"(?:async )?(?:def|cdef|cpdef)\b[^=\n]*?\b"
    for name in names[:-1]:
        found = re.search(rf"^(?:cdef )?class {name}\b.*?(?=^\S|\Z)", text, re.M | re.S)
        if found is None:
            return False
        text, indent = found[0], "    "
    last = rf"^{indent}(?:(?:cdef )?class |{callable_}){names[-1]}\b"
    return re.search(last, text, re.M) is not None


class NamesTests(SynchronousTestCase):
    def test_each_name_exists(self) -> None:
        """Module, class and method."""
        names = named(PAGE.read_text(encoding="utf-8"))
        self.assertGreater(len(names), 70)
        missing = []
        for name in sorted(names):
            found = module_of(name)
            if found is None or (found[1] and not defines(found[0].read_text("utf-8"), found[1])):
                missing.append(name)
        self.assertEqual(missing, [])

    def test_short_names(self) -> None:
        """C{Class} and C{Class.method} of the prose are defined somewhere."""
        text = PAGE.read_text(encoding="utf-8")
        files = [*(ROOT / "subproxy").rglob("*.py"), *(ROOT / "subproxy").rglob("*.pyx")]
        sources = [path.read_text("utf-8") for path in files]
        short = set(re.findall(r"`([A-Z]\w+(?:\.[a-z_]\w+)?)`", text))
        self.assertGreater(len(short), 5)
        for name in short:
            parts = name.split(".")
            self.assertTrue(any(defines(source, parts) for source in sources), name)

    def test_the_search_finds_nothing_that_is_not_there(self) -> None:
        """A class without the method, and a method of another class."""
        text = "class A:\n    def one(self): ...\n\n\nclass B:\n    cdef int two(self): ...\n"
        self.assertTrue(defines(text, ["A", "one"]))
        self.assertTrue(defines(text, ["B", "two"]))
        self.assertFalse(defines(text, ["A", "two"]))
        self.assertFalse(defines(text, ["one"]))
        self.assertIsNone(module_of("core.nowhere.Nothing"))

    def test_numbers(self) -> None:
        self.assertIn(f"no answer within {START_LIMIT:g} s", PAGE.read_text(encoding="utf-8"))
