"""The kill loops, briefly; C{python -m tests.integration.kill_loop} has them at length."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.kill_loop import (
    CONNECTIONS,
    SCENARIOS,
    Result,
    disturbed,
    kill,
    proxy_killed,
    storm,
)

SECONDS = 3.0


class KillLoopTests(SynchronousTestCase):
    def check(self, result: Result) -> None:
        """What holds of every one."""
        self.assertEqual(result.outcome.unconnected, 0, str(result))
        self.assertEqual(result.outcome.broken, [], str(result))
        self.assertEqual(result.twice, [], str(result))
        self.assertEqual(result.lost, set(), str(result))
        self.assertGreater(result.kills, 0)
        self.assertGreater(result.outcome.total, 50, str(result))

    def test_get_while_a_guest_is_killed_each_second(self) -> None:
        """No GET fails."""
        result = disturbed("GET", SECONDS, kill)
        self.check(result)
        self.assertEqual(result.outcome.failed, 0, str(result))

    def test_post_while_a_guest_is_killed_each_second(self) -> None:
        """Failures are at most what was in flight, each an explicit 502; none runs twice."""
        result = disturbed("POST", SECONDS, kill, method="POST")
        self.check(result)
        self.assertLessEqual(set(result.outcome.statuses), {200, 502}, str(result))
        self.assertLessEqual(result.outcome.failed, CONNECTIONS * result.kills, str(result))

    def test_guest_frozen(self) -> None:
        """Ejected by ping: GET goes elsewhere, and POST is answered when it thaws."""
        for name in ("frozen", "frozen-post"):
            result = SCENARIOS[name](SECONDS)
            self.check(result)
            self.assertEqual(result.outcome.failed, 0, str(result))

    def test_rolling_restart(self) -> None:
        """All guests are restarted by SIGTERM, in turn: no POST fails."""
        result = SCENARIOS["rolled-post"](SECONDS)
        self.check(result)
        self.assertEqual(result.outcome.failed, 0, str(result))

    def test_guest_replaced(self) -> None:
        """A newer instance of a worker comes: no GET fails, and no POST."""
        for name in ("replaced", "replaced-post"):
            result = SCENARIOS[name](SECONDS)
            self.check(result)
            self.assertEqual(result.outcome.failed, 0, str(result))

    def test_proxy_killed(self) -> None:
        """SIGKILL: it starts again over its own stale socket, and the guests return."""
        result = proxy_killed(0.0)
        self.check(result)
        self.assertEqual(result.outcome.failed, 0, str(result))

    def test_many_guests_register_at_once(self) -> None:
        """All get their route, and those come back whose proxy was killed."""
        result = storm(0.0, 200)
        self.check(result)
        self.assertEqual(result.outcome.failed, 0, str(result))
