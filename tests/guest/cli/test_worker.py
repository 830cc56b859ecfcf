"""Tests for L{guest.cli.worker}."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from guest.cli import worker
from tests.rigs.paths import ROOT


class SlotTests(SynchronousTestCase):
    """Equal processes get different numbers."""

    def setUp(self) -> None:
        self.application = f"test:{os.urandom(8).hex()}"

    def take(self, most: int = worker.MOST) -> worker.WorkerSlot:
        slot = worker.take(self.application, most)
        self.addCleanup(slot.release)
        return slot

    def test_the_first_free_number(self) -> None:
        first, second, third = self.take(), self.take(), self.take()
        self.assertEqual([first.number, second.number, third.number], [0, 1, 2])
        second.release()
        second.release()
        self.assertEqual(self.take().number, 1)

    def test_applications_do_not_share_numbers(self) -> None:
        self.take()
        other = worker.take(self.application + "2")
        self.addCleanup(other.release)
        self.assertEqual(other.number, 0)

    def test_no_number_is_free(self) -> None:
        self.take(1)
        error = self.assertRaises(worker.NoFreeWorker, worker.take, self.application, 1)
        self.assertIn(self.application, str(error))

    def test_a_dead_process_holds_nothing(self) -> None:
        code = (
            "import os, signal, sys; from guest.cli import worker;"
            "print(worker.take(sys.argv[1]).number, flush=True);"
            "os.kill(os.getpid(), signal.SIGKILL)"
        )
        child = subprocess.run(
            [sys.executable, "-c", code, self.application],
            capture_output=True,
            check=False,
            cwd=ROOT,
            timeout=60,
        )
        self.assertEqual((child.stdout, child.returncode), (b"0\n", -9))
        self.assertEqual(self.take().number, 0)

    def test_a_name_of_any_length_fits(self) -> None:
        self.assertEqual(len(worker.name("ä" * 5000, 1023)), len(worker.name("a", 1023)))
        self.assertLess(len(worker.name("a", 1023)), 108)

    def test_other_errors_are_not_hidden(self) -> None:
        def refuse(*ignored: object) -> None:
            raise PermissionError(1, "no")

        self.patch(socket.socket, "bind", refuse)
        self.assertRaises(PermissionError, worker.take, self.application)
