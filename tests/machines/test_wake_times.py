"""Where the time of a start goes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.wake_times import PHASES, WakeTimes

MOMENTS = ("began", "booting", "init", "greeted", "registered", "answered")


class WakeTimesTests(SynchronousTestCase):
    def test_all_known(self) -> None:
        """Each phase ends with its moment; together they are the whole."""
        times = WakeTimes(10.0)
        for number, moment in enumerate(MOMENTS, 1):
            times.reach(moment, 10.0 + number * number)
        split = times.split()
        self.assertEqual(list(split), list(PHASES))
        self.assertEqual(list(split.values()), [1.0, 3.0, 5.0, 7.0, 9.0, 11.0])

    def test_unknown(self) -> None:
        """A phase without an end has no length; the next one begins where something is known."""
        times = WakeTimes(None, 10.0)
        self.assertEqual(set(times.split().values()), {None})
        times.reach("booting", 11.0)
        times.reach("greeted", 14.0)
        split = times.split()
        self.assertEqual((split["decide"], split["spawn"], split["kernel"]), (None, 1.0, None))
        self.assertEqual((split["init"], split["register"]), (3.0, None))

    def test_once(self) -> None:
        """The first time counts, and what comes out of order is no time before."""
        times = WakeTimes(10.0, 10.5)
        times.reach("registered", 12.0)
        times.reach("registered", 13.0)
        times.reach("answered", 11.0)
        self.assertEqual(times.split()["register"], 1.5)
        self.assertEqual(times.split()["first_byte"], 0.0)

    def test_written(self) -> None:
        times = WakeTimes(1.0, 2.0, init=3.0)
        self.assertEqual(WakeTimes(**times.data()), times)
