"""docs/explanation/threats.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.paths import ROOT


def _name(path: Path) -> str:
    """What a page calls a module of tests: its path below C{tests}, or C{tests/integration}."""
    inside = path.relative_to(ROOT / "tests").with_suffix("").as_posix()
    return inside.removeprefix("integration/")


class ThreatsDocumentTests(SynchronousTestCase):
    def test_every_named_test_is_there(self) -> None:
        """Modules and methods, by name."""
        page = (ROOT / "docs" / "explanation" / "threats.md").read_text()
        files = {_name(path): path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
        everything = "\n".join(files.values())
        named = set(re.findall(r"`((?:\w+/)*test_\w+)`", page))
        self.assertGreater(len(named), 40)
        for name in named:
            self.assertTrue(name in files or f"def {name}(" in everything, name)

    def test_methods_are_where_they_are_said_to_be(self) -> None:
        """`module`: `test_one`, `test_two` names methods of that module, and no modules."""
        page = (ROOT / "docs" / "explanation" / "threats.md").read_text()
        files = {_name(path): path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
        pairs = re.findall(r"`((?:\w+/)*test_\w+)`: ((?:`[^`]+`(?:, )?)+)", page)
        self.assertGreater(len(pairs), 25)
        wrong = [
            f"{module}: {name}"
            for module, names in pairs
            for name in re.findall(r"`([^`]+)`", names)
            if f"def {name}(" not in files[module] and f"class {name}(" not in files[module]
        ]
        self.assertEqual(wrong, [])
