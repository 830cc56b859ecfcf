"""The start of the process that takes over."""

from __future__ import annotations

import sys

from twisted.internet.error import ProcessDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.process.upgrade import NewProcess, command_line


class CommandLineTests(SynchronousTestCase):
    def test_command_line(self) -> None:
        """The same again, with no pid file."""
        self.patch(sys, "orig_argv", ["python", "twistd", "-n", "subproxy", "--http=1"])
        wanted = ["python", "twistd", "-n", "--pidfile=", "subproxy", "--http=1"]
        self.assertEqual(command_line(), wanted)
        self.patch(sys, "orig_argv", wanted)
        self.assertEqual(command_line(), wanted)
        for run in (["python", "-m", "subproxy", "run"], ["python", "bin/subproxy", "run"]):
            self.patch(sys, "orig_argv", run)
            self.assertEqual(command_line(), run)


class SuccessorTests(SynchronousTestCase):
    def test_ready(self) -> None:
        """It says its pid, in whatever pieces that comes."""
        successor = NewProcess()
        successor.childDataReceived(5, b"12")
        self.assertNoResult(successor.ready)
        successor.childDataReceived(5, b"34\n")
        successor.childDataReceived(5, b"x\n")
        self.assertEqual(self.successResultOf(successor.ready), 1234)
        successor.processEnded(Failure(ProcessDone(0)))

    def test_it_ends_before(self) -> None:
        """Then there is none."""
        successor = NewProcess()
        successor.processEnded(Failure(ProcessDone(0)))
        self.failureResultOf(successor.ready, ProcessDone)
