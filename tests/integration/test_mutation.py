"""C{python -m tools.mutation} in a project of two functions, from its start to its score."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.paths import ROOT

MODULE = """
def _half(limit):
    return limit // 2

MOST = _half(10)

def clipped(value):
    if value > MOST:
        return MOST
    return value

def ends(value):
    while value:
        value = value // 2

def untested(value):
    return value + 1
"""
TESTS = """
import unittest
from box.size import clipped, ends

class ClippedTests(unittest.TestCase):
    def test_small(self):
        self.assertEqual(clipped(4), 4)

    def test_large(self):
        self.assertEqual(clipped(7), 5)

    def test_it_ends(self):
        ends(9)

class BrokenTests(unittest.TestCase):
    def test_it_fails_as_it_is(self):
        self.assertEqual(clipped(1), 2)
"""
PROFILE = """
from hypothesis import settings
settings.register_profile("subproxy", max_examples=10)
"""
SURVIVORS = [
    "box/size.py:5: 10 -> 11   | MOST = _half(10)",
    "box/size.py:14: 2 -> 3   | value = value // 2",
    # The largest one is the same, whichever way it comes.
    "box/size.py:8: value > MOST -> value >= MOST   | if value > MOST:",
    "box/size.py:17: value + 1 -> value - 1   | return value + 1",
    "box/size.py:17: return value + 1 -> return None   | return value + 1",
    "box/size.py:17: 1 -> 2   | return value + 1",
]


class MutationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        for name, text in (
            ("box/__init__.py", ""),
            ("box/size.py", MODULE),
            ("tests/__init__.py", PROFILE),
            ("tests/test_size.py", TESTS),
        ):
            file = self.root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def mutation(self, *words: str) -> list[str]:
        """What is printed."""
        done = subprocess.run(
            [sys.executable, "-m", "tools.mutation", "box", *words],
            cwd=self.root,
            env=dict(os.environ, PYTHONPATH=str(ROOT)),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def test_from_its_start_to_its_score(self) -> None:
        first, left_out, tried, *survivors, score, whole = self.mutation()
        self.assertIn("3 tests", first)
        self.assertTrue(left_out.endswith("tests.test_size.BrokenTests.test_it_fails_as_it_is"))
        self.assertEqual(tried, "15 mutants, 6 of them where modules are imported anew")
        self.assertEqual(sorted(survivors), sorted(SURVIVORS))
        self.assertEqual(score, "box: 9 of 15 killed, 60.0 %")
        self.assertIn("3 reached by no test", whole)

        # The survivors alone, and no test is run to record what it reaches.
        report = self.root / "report"
        report.write_text("\n".join(survivors))
        *_, score, _ = self.mutation(f"--again={report.name}")
        self.assertEqual(score, "box: 0 of 6 killed, 0.0 %")

    def test_a_part(self) -> None:
        """The same one for the same seed."""
        one, two = (self.mutation("--sample=5", "--seed=3")[-2] for _ in range(2))
        self.assertEqual(one, two)
        self.assertIn(" of 5 killed, ", one)
        self.assertIn(" % of all 15)", one)
