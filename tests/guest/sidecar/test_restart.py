"""When a program is started again."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from guest.sidecar.restart import RestartBackoff, RestartMode


class BackoffTests(SynchronousTestCase):
    def test_each_wait_is_twice_the_last(self) -> None:
        backoff = RestartBackoff()
        waits = [backoff.ended(0.0) for _ in range(12)]
        self.assertEqual(waits[:4], [0.1, 0.2, 0.4, 0.8])
        self.assertEqual(waits[-1], 30.0)

    def test_a_good_run_begins_anew(self) -> None:
        backoff = RestartBackoff(first=1, longest=100, settled=10)
        self.assertEqual([backoff.ended(9.9) for _ in range(3)], [1, 2, 4])
        self.assertEqual([backoff.ended(10), backoff.ended(0), backoff.ended(10)], [1, 2, 1])

    def test_it_never_overflows(self) -> None:
        backoff = RestartBackoff()
        for _ in range(5000):
            last = backoff.ended(0.0)
        self.assertEqual(last, 30.0)


class ModeTests(SynchronousTestCase):
    def test_modes(self) -> None:
        found = [(mode.restarts(0), mode.restarts(1)) for mode in RestartMode]
        self.assertEqual(found, [(True, True), (False, True), (False, False)])
        self.assertEqual([mode.value for mode in RestartMode], ["always", "on-failure", "never"])
