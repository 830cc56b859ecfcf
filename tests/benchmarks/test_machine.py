"""What a benchmark sets on the machine, and sets back."""

from __future__ import annotations

import signal
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import machine


class CongestionTests(SynchronousTestCase):
    def test_as_long_as_it_lasts(self) -> None:
        """The kernel's default, and then what was there, whatever happens."""
        path = Path(self.mktemp())
        path.write_text("bbr\n")
        self.patch(machine, "CONGESTION", path)
        with self.assertRaises(ZeroDivisionError), machine.common_congestion_control() as name:
            self.assertEqual((name, path.read_text()), ("cubic", "cubic"))
            raise ZeroDivisionError
        self.assertEqual(path.read_text(), "bbr")

    def test_ended(self) -> None:
        """By a time-out, say: it is set back then, too."""
        path = Path(self.mktemp())
        path.write_text("bbr\n")
        self.patch(machine, "CONGESTION", path)
        before = signal.getsignal(signal.SIGTERM)
        with self.assertRaises(SystemExit), machine.common_congestion_control():
            signal.raise_signal(signal.SIGTERM)
        self.assertEqual((path.read_text(), signal.getsignal(signal.SIGTERM)), ("bbr", before))

    def test_not_permitted(self) -> None:
        """Then it stays as it is, and that is what is told."""

        class Fixed:
            def read_text(self) -> str:
                return "reno\n"

            def write_text(self, text: str) -> None:
                raise PermissionError

        self.patch(machine, "CONGESTION", Fixed())
        with machine.common_congestion_control() as name:
            self.assertEqual(name, "reno")
