"""How tests are run: nothing is lost of what was found, whatever ends a run."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.frozen import frozen_as_before
from tests.rigs.paths import ROOT
from tools.testing import records
from tools.testing.garbage import THRESHOLD, keep_what_is_loaded
from tools.testing.groups import (
    ALONE,
    BESIDE_ONE,
    LONG,
    MACHINES,
    MEASURED,
    NIGHTLY,
    TOGETHER,
    TRIAL,
    Shard,
    integration_modules,
    phases,
    unit_modules,
)
from tools.testing.records import FAILED, PASSED, SKIPPED, Reader, Record, Recorder, Run
from tools.testing.summary import Result, summary

EVERY = frozenset({"unit", "integration", "machines", "nightly"})
SHARD = Shard("some tests", TRIAL, ("tests.test_x",))


def shards(*groups: str) -> list[Shard]:
    return [
        shard
        for phase in phases(ROOT, frozenset(groups))
        for lane in (*phase.lanes, phase.queue)
        for shard in lane
    ]


class GroupTests(SynchronousTestCase):
    """Every module of tests is in one group."""

    def test_unit_tests_are_run_by_both_runners(self) -> None:
        found = [(shard.runner, shard.modules) for shard in shards("unit")]
        unit = unit_modules(ROOT)
        self.assertIn(__name__, unit)
        self.assertEqual(sorted(found), [("pytest", unit), ("trial", unit)])

    def test_integration_tests_are_run_once(self) -> None:
        found = [module for shard in shards(*EVERY - {"unit"}) for module in shard.modules]
        self.assertEqual(sorted(found), sorted(integration_modules(ROOT)))

    def test_all_together(self) -> None:
        """The unit tests twice, everything else once, measured or not."""
        found = [module for shard in shards(*EVERY) for module in shard.modules]
        wanted = [*unit_modules(ROOT) * 2, *integration_modules(ROOT)]
        self.assertEqual(sorted(found), sorted(wanted))

    def test_every_name_in_a_table_is_that_of_a_module(self) -> None:
        names = {module.rpartition(".")[2] for module in integration_modules(ROOT)}
        long = set(LONG)
        groups = (ALONE, BESIDE_ONE, long, MACHINES)
        self.assertEqual(set().union(MEASURED, NIGHTLY, *groups) - names, set())
        self.assertEqual(len(set().union(*groups)), sum(map(len, groups)))

    def test_the_search_is_done_once(self) -> None:
        """All examples are tried by one runner of the unit tests, some by the other."""
        self.assertEqual(sorted(shard.examples for shard in shards("unit")), [1, 10])
        self.assertEqual({shard.examples for shard in shards("integration", "machines")}, {1})

    def test_the_long_ones_are_begun_first(self) -> None:
        """The longest before all: else one lane would be left with one of them."""
        (phase, *_) = phases(ROOT, frozenset({"unit", "integration"}))
        first = [shard.modules[0].rpartition(".")[2] for shard in phase.queue[: len(LONG)]]
        self.assertEqual(first, list(LONG))
        self.assertTrue(all(len(shard.modules) <= TOGETHER for shard in phase.queue))

    def test_measured(self) -> None:
        """With branch coverage: the unit tests under pytest, and the table's of the others."""
        measured = [shard for shard in shards(*EVERY) if shard.measured]
        found = sorted(module for shard in measured for module in shard.modules)
        integration = [f"tests.integration.{name}" for name in MEASURED]
        self.assertEqual(found, sorted([*unit_modules(ROOT), *integration]))


class RecordTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.patch(records.os, "environ", {records.VARIABLE: str(self.path)})
        self.recorder = Recorder()

    def record(self, test: str, *found: tuple[str, str]) -> None:
        self.recorder.start(test)
        for outcome, text in found:
            self.recorder.found(outcome, text)
        self.recorder.stop(test)

    def test_outcomes(self) -> None:
        self.record("a")
        self.record("b", (FAILED, "Traceback"))
        self.record("c", (SKIPPED, "no compiler"))
        run = Reader(self.path).look()
        self.assertEqual(
            [(each.test, each.outcome, each.text) for each in run.records],
            [("a", PASSED, ""), ("b", FAILED, "Traceback"), ("c", SKIPPED, "no compiler")],
        )
        self.assertIsNone(run.running)

    def test_what_has_failed_stays_failed(self) -> None:
        """An error in the test and one in its clean-up are one failure, with both texts."""
        self.record("a", (FAILED, "first"), (SKIPPED, "second"))
        (record,) = Reader(self.path).look().records
        self.assertEqual((record.outcome, record.text), (FAILED, "first\nsecond"))

    def test_a_run_that_was_ended(self) -> None:
        """The test that ran is told, and so is all that came before."""
        self.record("a", (FAILED, "Traceback"))
        self.recorder.start("b")
        with self.path.open("a") as file:
            file.write('{"test": "b", "outc')
        run = Reader(self.path).look()
        self.assertEqual(run.running, "b")
        self.assertEqual(run.count(FAILED), 1)

    def test_read_while_it_is_written(self) -> None:
        """Each line once, when it is whole."""
        reader = Reader(self.path)
        self.record("a")
        self.assertEqual([each.test for each in reader.look().records], ["a"])
        self.record("b")
        written = self.path.read_bytes()
        self.path.write_bytes(written[:-5])
        self.assertEqual(reader.look().running, "b")
        self.path.write_bytes(written)
        self.assertEqual([each.test for each in reader.look().records], ["a", "b"])
        self.assertEqual([each.test for each in reader.look().records], ["a", "b"])
        self.assertIsNone(reader.run.running)

    def test_nothing_was_run(self) -> None:
        self.assertEqual(Reader(self.path / "absent").look(), Run())


class GarbageTests(SynchronousTestCase):
    def test_what_is_loaded_is_kept(self) -> None:
        """Whoever freezes more in a test lets go of that alone."""
        self.addCleanup(frozen_as_before())
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        gc.unfreeze()
        keep_what_is_loaded()
        kept = gc.get_freeze_count()
        self.assertGreater(kept, 10_000)
        self.assertEqual(gc.get_threshold()[0], THRESHOLD)
        restore = frozen_as_before()
        more = [[each] for each in range(1000)]
        gc.freeze()
        self.assertGreater(gc.get_freeze_count(), kept + len(more))
        restore()
        self.assertGreater(gc.get_freeze_count(), 10_000)
        gc.unfreeze()
        frozen_as_before()()
        self.assertEqual(gc.get_freeze_count(), 0)


class SummaryTests(SynchronousTestCase):
    def result(self, *found: Record, running: str | None = None, **named: Any) -> Result:
        return Result(SHARD, Run(list(found), running), **{"status": 0, "seconds": 9.0, **named})

    def test_all_is_well(self) -> None:
        result = self.result(Record("a", PASSED, 1.0), Record("b", SKIPPED, 0.0, "no KVM\nhere"))
        self.assertTrue(result.good)
        text = summary([result])
        self.assertEqual(text.splitlines()[-1], "1 passed, 0 failed, 1 skipped")
        self.assertIn("b: no KVM", text)

    def test_the_slowest_come_first(self) -> None:
        found = [Record(f"test{index}", PASSED, float(index)) for index in range(30)]
        lines = summary([self.result(*found)]).splitlines()
        begin = lines.index("The 10 slowest tests:")
        self.assertEqual(lines[begin + 1].split(), ["29.0", "s", "test29"])
        self.assertEqual(lines[begin + 10].split(), ["20.0", "s", "test20"])

    def test_a_traceback_stands_in_it(self) -> None:
        result = self.result(Record("a", FAILED, 1.0, "Traceback: it broke"), status=1)
        self.assertFalse(result.good)
        self.assertIn("Traceback: it broke", summary([result]))

    def test_the_guard_struck(self) -> None:
        """What failed before is there, and so is where it was when its time was over."""
        result = self.result(
            Record("a", FAILED, 1.0, "Traceback: it broke"),
            running="b",
            status=-6,
            seconds=1200.0,
            cut=True,
            tail="File harness.py, line 39",
        )
        text = summary([result])
        for expected in (
            "Traceback: it broke",
            "not done after 1200 s, and ended in b",
            "| File harness.py, line 39",
            "0 passed, 2 failed, 0 skipped",
        ):
            self.assertIn(expected, text)

    def test_what_is_no_success(self) -> None:
        """A runner that died, that ran nothing, or that is not content though no test failed."""
        passed = Record("a", PASSED, 1.0)
        for result in (
            self.result(passed, running="b", status=-9),
            self.result(status=0),
            self.result(passed, status=1),
        ):
            self.assertFalse(result.good)
            self.assertIn("1 failed", summary([result]))
