"""The wall clock of a machine that goes on from a snapshot."""

from __future__ import annotations

import time
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from guest import minimal
from guest.core.wall_clock import OFF, correct


class WallClockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.set: list[tuple[int, float]] = []
        self.rtc = Path(self.mktemp())
        self.patch(time, "time", lambda: 1000.0)

    def correct(self, text: str) -> bool:
        self.rtc.write_text(text)
        return correct(str(self.rtc), lambda clock, now: self.set.append((clock, now)))

    def test_it_stands_where_it_was(self) -> None:
        """Ahead or behind, the hardware's is right."""
        self.assertTrue(self.correct("90000\n"))
        self.assertTrue(self.correct("10\n"))
        self.assertEqual(self.set, [(time.CLOCK_REALTIME, 90000.5), (time.CLOCK_REALTIME, 10.5)])

    def test_it_is_right(self) -> None:
        """Who keeps it right to the millisecond is not disturbed."""
        for seconds in (1000 - OFF, 1000, 1000 + OFF - 1):
            self.assertFalse(self.correct(f"{seconds:.0f}"))
        self.assertEqual(self.set, [])

    def test_it_can_not_be_set(self) -> None:
        """There is no such clock, or it is not for us to set."""
        self.assertFalse(correct(str(self.rtc)))
        self.assertFalse(self.correct("soon"))

        def refused(clock: int, now: float) -> None:
            raise PermissionError(1, "Operation not permitted")

        self.rtc.write_text("90000")
        self.assertFalse(correct(str(self.rtc), refused))

    def test_the_minimal_guest(self) -> None:
        """Likewise."""
        for seconds, calls in (("1001", 0), ("soon", 0), ("90000", 1)):
            with (
                mock.patch.object(time, "clock_settime") as settime,
                mock.patch.object(Path, "read_text", lambda *_, seconds=seconds: seconds),
            ):
                minimal.correct_clock()
            self.assertEqual(settime.call_count, calls)
