"""Both runners record what they find, and the guard ends what hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from coverage import CoverageData
from twisted.trial.unittest import SynchronousTestCase

from tools.testing import run
from tools.testing.groups import PYTEST, TRIAL, Phase, Shard
from tools.testing.measured import Combining
from tools.testing.records import FAILED, PASSED, SKIPPED
from tools.testing.run import Running

TESTS = """
import time, unittest
class Tests(unittest.TestCase):
    def test_a(self): pass
    def test_b(self): self.fail("as it should")
    def test_c(self): raise unittest.SkipTest("not here")
    def test_d(self): {last}
"""


class RunTests(SynchronousTestCase):
    def setUp(self) -> None:
        temporary = TemporaryDirectory(prefix="subproxy-test-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.told: list[str] = []

    def shard(self, runner: str, last: str, limit: int = 60) -> run.Result:
        """Run a module of four tests."""
        (self.folder / "test_four.py").write_text(TESTS.format(last=last))
        modules = ("test_four",) if runner == TRIAL else (str(self.folder / "test_four"),)
        self.patch(run.os, "environ", dict(run.os.environ, PYTHONPATH=str(self.folder)))
        return Running(
            Shard("four", runner, modules, limit=limit), self.folder, self.told.append
        ).wait()

    def check(self, runner: str) -> None:
        result = self.shard(runner, "pass")
        found = [(each.test[-1], each.outcome) for each in result.run.records]
        self.assertEqual(
            sorted(found), [("a", PASSED), ("b", FAILED), ("c", SKIPPED), ("d", PASSED)]
        )
        (text,) = (each.text for each in result.run.records if each.outcome == FAILED)
        self.assertIn("as it should", text)
        self.assertEqual(["as it should" in each for each in self.told], [True])
        self.assertNotEqual(result.status, 0)
        self.assertIsNone(result.problem)

    def test_trial(self) -> None:
        self.check(TRIAL)

    def test_what_was_measured(self) -> None:
        """Files of several processes become one, and what is written meanwhile stays."""
        for name in "ab":
            (self.folder / f"{name}.py").write_text("print()\n")
            command = [sys.executable, "-m", "coverage", "run", "-p", f"{name}.py"]
            subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)
        self.assertEqual(len(list(self.folder.glob(".coverage.*"))), 2)
        combining = Combining(self.folder, "all")
        (self.folder / ".coverage.later").touch()
        self.assertTrue(combining.wait())
        found = sorted(each.name for each in self.folder.glob(".coverage*"))
        self.assertEqual(found, [".coverage.all", ".coverage.later"])
        data = CoverageData(str(self.folder / ".coverage.all"))
        data.read()
        self.assertEqual({Path(each).name for each in data.measured_files()}, {"a.py", "b.py"})

    def test_one_after_the_other(self) -> None:
        """What is still being put together is not taken."""
        for number in range(40):
            data = CoverageData(str(self.folder / f".coverage.each.{number}"))
            data.add_arcs({str(self.folder / f"{number}.py"): [(-1, 1), (1, -1)]})
            data.write()
        first = Combining(self.folder, "first")
        second = Combining(self.folder, "second", first)
        self.assertEqual((first.wait(), second.wait()), (True, True))
        self.assertEqual([each.name for each in self.folder.iterdir()], [".coverage.second"])

    def test_nothing_was_measured(self) -> None:
        self.assertTrue(Combining(self.folder, "all").wait())
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_pytest(self) -> None:
        self.check(PYTEST)

    def test_the_guard(self) -> None:
        """What hangs is ended, says where it hung, and what failed before is not lost."""
        self.patch(run, "GRACE", 5.0)
        result = self.shard(PYTEST, "time.sleep(600)", limit=8)
        self.assertTrue(result.cut)
        self.assertIn("test_d", result.problem or "")
        self.assertIn("test_four.py", result.tail)
        self.assertEqual(result.run.count(FAILED), 1)

    def test_ctrl_c(self) -> None:
        """It ends what runs, and neither the next shard nor the next phase begins."""
        (self.folder / "test_four.py").write_text(TESTS.format(last="time.sleep(600)"))
        (self.folder / "test_next.py").write_text(TESTS.format(last="pass"))
        program = """
import signal, sys
from tools.testing import run
from tools.testing.groups import TRIAL, Phase, Shard
lane = tuple(Shard(name, TRIAL, (name,), limit=60) for name in ("test_four", "test_next"))
run.phases = lambda *_: [Phase("first", "a minute", (lane,)), Phase("second", "none", (lane,))]
run.PROGRESS = 0.2
sys.argv = ["run", "unit"]
signal.signal(signal.SIGINT, signal.default_int_handler)  # as from a terminal
run.main()
"""
        for number in (signal.SIGINT, signal.SIGTERM):
            child = subprocess.Popen(
                [sys.executable, "-u", "-c", program],
                cwd=run.ROOT,
                env=dict(
                    os.environ, PYTHONPATH=f"{run.ROOT}:{self.folder}", TMPDIR=str(self.folder)
                ),
                stdout=subprocess.PIPE,
                text=True,
            )
            assert child.stdout is not None
            self.addCleanup(child.stdout.close)
            said = ""
            while "in test_d" not in said:
                said += child.stdout.readline() or self.fail(said)
            child.send_signal(number)
            said += child.stdout.read()
            self.assertEqual(child.wait(), 130, said)
            self.assertIn("Interrupted.", said)
            self.assertNotIn("test_next", said)
            self.assertNotIn("[2/2]", said)

    def test_lanes_take_what_is_left(self) -> None:
        """A lane that is done with its own goes on with the queue; each shard is run once."""
        names = [f"test_{number}" for number in range(5)]
        for name in names:
            (self.folder / f"{name}.py").write_text(TESTS.format(last="pass"))
        first, *rest = (Shard(name, TRIAL, (name,), limit=60) for name in names)
        self.patch(run.os, "environ", dict(run.os.environ, PYTHONPATH=str(self.folder)))
        results, interrupted = run.run_phase(
            Phase("all", "a minute", ((first,), ()), tuple(rest)), self.folder / "out"
        )
        self.assertFalse(interrupted)
        self.assertEqual(sorted(result.shard.name for result in results), names)
        self.assertEqual([len(result.run.records) for result in results], [4] * len(names))

    def test_one_that_cannot_be_run(self) -> None:
        """It is told, and those behind it are run."""
        (self.folder / "test_four.py").write_text(TESTS.format(last="pass"))
        self.patch(run.os, "environ", dict(run.os.environ, PYTHONPATH=str(self.folder)))

        class Failing(Running):
            def look(self) -> run.Run:
                if self.shard.name == "first":
                    raise ValueError("no records")
                return super().look()

        self.patch(run, "Running", Failing)
        lane = tuple(Shard(name, TRIAL, ("test_four",), limit=60) for name in ("first", "second"))
        results, _ = run.run_phase(Phase("all", "a minute", (lane,)), self.folder / "out")
        self.assertEqual([each.shard.name for each in results], ["first", "second"])
        self.assertIn("no records", results[0].tail)
        self.assertEqual([each.problem is None for each in results], [False, True])

    def test_a_module_that_cannot_be_imported(self) -> None:
        for runner in (TRIAL, PYTEST):
            result = self.shard(runner, "pass\n)")
            self.assertFalse(result.good, (runner, sys.version))
            self.assertEqual(result.run.count(FAILED), 1)
