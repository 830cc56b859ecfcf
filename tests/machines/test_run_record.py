"""Which process an instance is, kept for the next proxy."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.run_record import SUFFIX, RunRecord, end_left_over, started_at


class RunRecordTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()) / "blog" / "0"
        self.folder.mkdir(parents=True)

    def child(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(["sleep", "600"])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def test_written_and_read(self) -> None:
        """With the time of its start, by which it is known."""
        RunRecord(os.getpid()).write(self.folder)
        found = RunRecord.read(self.folder)
        self.assertEqual(found, RunRecord(os.getpid(), started_at(os.getpid())))
        assert found is not None
        self.assertTrue(found.runs)
        RunRecord.remove(self.folder)
        RunRecord.remove(self.folder)
        self.assertIsNone(RunRecord.read(self.folder))

    def test_nonsense(self) -> None:
        """What is no record."""
        for text in ("", "[]", '{"pid": 3}', '{"pid": "x", "started": 1}'):
            self.folder.with_name("0" + SUFFIX).write_text(text)
            self.assertIsNone(RunRecord.read(self.folder), text)

    def test_ended(self) -> None:
        """It is ended, once, and its record removed."""
        child = self.child()
        RunRecord(child.pid).write(self.folder)
        top = str(self.folder.parent.parent)
        self.assertEqual(list(end_left_over(top)), [(str(self.folder), child.pid)])
        self.assertEqual(child.wait(), -9)
        self.assertEqual(list(end_left_over(top)), [])

    def test_another_process(self) -> None:
        """One that has its number by now is left alone; so is one that is no more."""
        child = self.child()
        self.assertFalse(RunRecord(child.pid, started_at(child.pid) - 1).kill())
        self.assertIsNone(child.poll())
        child.kill()
        child.wait()
        self.assertEqual(started_at(child.pid), 0)
        self.assertFalse(RunRecord(child.pid, 5).kill())
