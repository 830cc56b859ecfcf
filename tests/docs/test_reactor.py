"""docs/explanation/reactor.md names files, tests and methods that exist."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.paths import ROOT

PAGE = ROOT / "docs" / "explanation" / "reactor.md"
ROOM = ROOT / "subproxy" / "reactor"
SOURCES = {".py", ".pyx"}


class ReactorPageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.text = PAGE.read_text(encoding="utf-8")

    def test_files(self) -> None:
        """Those of the room, in the table of how it is built."""
        table = self.text[self.text.index("| file | is |") : self.text.index("### Rules")]
        rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        names = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
        self.assertGreater(len(names), 10)
        self.assertEqual({name for name in names if not (ROOM / name).exists()}, set())

    def test_tests(self) -> None:
        names = set(re.findall(r"`(test_\w+\.py)`", self.text))
        self.assertGreater(len(names), 8)
        there = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
        self.assertEqual(names - there, set())

    def test_methods(self) -> None:
        """What a program may call on a transport or on the reactor."""
        sources = "".join(
            path.read_text("utf-8") for path in ROOM.iterdir() if path.suffix in SOURCES
        )
        called = set(re.findall(r"\.(listenStreamSocket|adoptStreamSocket|relay_to)\(", self.text))
        called |= set(re.findall(r"`(\w+)\((?:function|bytes)\)`", self.text))
        self.assertGreater(len(called), 3)
        for name in called:
            self.assertRegex(sources, rf"def (?:int )?{name}\(|cdef int {name}\(", name)
