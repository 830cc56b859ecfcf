"""What init does with its one child, with real processes; and how it hears of the power button."""

from __future__ import annotations

import signal
import struct
import subprocess
import sys
import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest.image.supervisor import KEY_POWER, pressed

INIT = """
import ctypes, sys
from guest.image.supervisor import ChildSupervisor

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
say = lambda text: print(text, flush=True)
status = ChildSupervisor(float(sys.argv[1]), say).run(sys.argv[2:], {"PATH": "/usr/bin:/bin"})
say(f"status {status}")
"""


def supervised(*words: str, grace: float = 20) -> subprocess.Popen[str]:
    """A process that is as init is to its children, running a shell script."""
    return subprocess.Popen(
        [sys.executable, "-c", INIT, str(grace), *words],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def shell(script: str, grace: float = 20) -> subprocess.Popen[str]:
    """A shell script under supervision."""
    return supervised("sh", "-c", script, grace=grace)


class SupervisorTests(SynchronousTestCase):
    def output(self, process: subprocess.Popen[str]) -> list[str]:
        """All that it says until it ends."""
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        return output.splitlines()

    def test_the_status_is_a_shells(self) -> None:
        self.assertEqual(self.output(shell("exit 3")), ["status 3"])
        self.assertEqual(self.output(shell("kill -9 $$")), ["status 137"])

    def test_what_cannot_run_is_said(self) -> None:
        said, status = self.output(supervised("/no/such/program"))
        self.assertIn("can't run /no/such/program", said)
        self.assertEqual(status, "status 127")

    def test_a_signal_asks_the_child_to_end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPWR):
            process = shell(
                "trap 'echo draining; exit 0' TERM; echo ready; while :; do sleep .02; done"
            )
            assert process.stdout is not None
            self.assertEqual(process.stdout.readline(), "ready\n")
            process.send_signal(number)
            said = self.output(process)
            self.assertEqual(said[0], f"{number.name}: asking the application to end")
            self.assertEqual(said[1:], ["draining", "status 0"])

    def test_a_child_that_does_not_end_is_killed_after_the_grace(self) -> None:
        process = shell("trap '' TERM; echo ready; while :; do sleep .02; done", grace=0.3)
        assert process.stdout is not None
        process.stdout.readline()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said = self.output(process)
        self.assertGreaterEqual(time.monotonic() - began, 0.3)
        self.assertEqual(said[1:], ["not ended within 0.3 s: killed", "status 137"])

    def test_orphans_are_reaped(self) -> None:
        # The orphan ends at once; its parent waits until nobody holds its place any more.
        script = """
            orphan=$(sh -c 'sleep 0 & echo $!')
            while test -e /proc/$orphan; do sleep .02; done
            echo reaped
        """
        self.assertEqual(self.output(shell(script)), ["reaped", "status 0"])


class PressedTests(SynchronousTestCase):
    def test_the_power_button_went_down(self) -> None:
        down = struct.pack("qqHHi", 1, 2, 1, KEY_POWER, 1)
        up = struct.pack("qqHHi", 1, 2, 1, KEY_POWER, 0)
        other = struct.pack("qqHHi", 1, 2, 1, 30, 1)
        self.assertTrue(pressed(up + other + down))
        self.assertFalse(pressed(up + other + down[:-1]))

    @given(st.binary(max_size=100))
    def test_any_bytes_are_read(self, data: bytes) -> None:
        self.assertIn(pressed(data), (True, False))
