"""The start of the process that takes over."""

from __future__ import annotations

import sys

from twisted.internet.error import ProcessDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.process.upgrade import NewProcess, command_line


class CommandLineTests(SynchronousTestCase):
    def next(self, program: str, arguments: str) -> str:
        """The arguments of the process that is started by one of these."""
        self.patch(sys, "orig_argv", [*program.split(), *arguments.split()])
        self.patch(sys, "argv", [program.rsplit(maxsplit=1)[-1], *arguments.split()])
        line = command_line()
        self.assertEqual(line[: len(program.split())], program.split())
        return " ".join(line[len(program.split()) :])

    def test_command_line(self) -> None:
        """The same again, with no pid file."""
        wanted = "-n --pidfile= subproxy --http=1"
        self.assertEqual(self.next("python twistd", "-n subproxy --http=1"), wanted)
        self.assertEqual(self.next("python twistd", wanted), wanted)

    def test_subproxy_run(self) -> None:
        """It has no pid file, whatever its options say."""
        for program in ("python -m subproxy", "python bin/subproxy"):
            for line in ("run", "run --vsock-owner subproxy --vsock-group subproxy"):
                self.assertEqual(self.next(program, line), line)

    def test_a_user_of_that_name(self) -> None:
        """A value of an option of twistd, or of ours, is not where twistd's options end."""
        self.assertEqual(
            self.next("python -m twisted", "-n --uid subproxy subproxy --vsock-owner subproxy"),
            "-n --uid subproxy --pidfile= subproxy --vsock-owner subproxy",
        )
        self.assertEqual(
            self.next("python twistd", "-nu subproxy --pid x subproxy"),
            "-nu subproxy --pid x --pidfile= subproxy",
        )

    def test_another_program(self) -> None:
        """What twistd would not understand stays as it is."""
        for line in ("--log-level=info subproxy", "web", "--uid subproxy"):
            self.assertEqual(self.next("python twist", line), line)


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
