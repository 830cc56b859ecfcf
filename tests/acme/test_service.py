"""Which order is made when, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.acme.authority import OrderFailed
from subproxy.acme.files import AcmeFiles
from subproxy.acme.schedule import SETTLE
from subproxy.acme.service import ASK_AGAIN, LOOK, ORDERS_AN_HOUR, AcmeService

DAY = 86400.0


class Known:
    """A certificate of ninety days."""

    def __init__(self, begin: float) -> None:
        self.not_before, self.not_after = begin, begin + 90 * DAY


class ServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.files = AcmeFiles(self.mktemp())
        self.files.prepare(None)
        self.wanted: list[str] = []
        self.own: dict[str, Known] = {}
        self.others: dict[str, Known] = {}
        self.ordered: list[str] = []
        self.asked = 0
        self.late = 0.0  # seconds from a file to what is in force
        self.error: Exception | None = None
        self.window: tuple[float | None, float] | Exception = (None, 0.0)
        self.service = AcmeService(
            self.clock,
            self.clock.seconds,
            self,
            self.files,
            lambda: self.wanted,
            self.covering,
            lambda: 0.0,
            self.run_now,
        )
        self.service.startService()
        self.addCleanup(self.service.stopService)

    def covering(self, name: str, path: str) -> tuple[bool, Known] | None:
        if name in self.others:
            return False, self.others[name]
        return (True, self.own[name]) if name in self.own else None

    def run_now(self, call: Callable[[], Any]) -> Deferred[Any]:
        return maybeDeferred(call)

    def order(self, name: str) -> bytes:
        """See C{IAuthority}."""
        self.ordered.append(name)
        if self.error is not None:
            raise self.error
        known = Known(self.clock.seconds())
        self.clock.callLater(self.late, self.own.__setitem__, name, known)
        return b"pem"

    def renewal(self, pem: bytes) -> tuple[float | None, float]:
        """See C{IAuthority}."""
        self.asked += 1
        if isinstance(self.window, Exception):
            raise self.window
        when, after = self.window
        return when, self.clock.seconds() + after

    def let_pass(self, seconds: float, step: float = LOOK) -> None:
        for _ in range(int(seconds // step) + 1):
            self.clock.advance(step)
            for _ in range(4):
                self.clock.advance(0)

    def test_ordered(self) -> None:
        """Each once; what is not wanted any more is forgotten."""
        self.wanted = ["a.example", "b.example"]
        self.window = (None, DAY)
        self.let_pass(60)
        self.assertEqual(self.ordered, ["a.example", "b.example"])
        self.assertEqual(self.service.orders, {"issued": 2, "failed": 0})
        self.assertEqual(Path(self.files.certificate_path("a.example")).read_bytes(), b"pem")
        self.wanted = []
        self.let_pass(90 * DAY, DAY)
        self.assertEqual(len(self.ordered), 2)

    def test_the_operator_s_own(self) -> None:
        """Nothing is ordered for what has a certificate, until that is none any more."""
        self.wanted = ["a.example"]
        self.others["a.example"] = Known(0.0)
        self.let_pass(DAY, 3600)
        self.assertEqual((self.ordered, self.asked), ([], 0))
        del self.others["a.example"]
        self.let_pass(10)
        self.assertEqual(self.ordered, ["a.example"])

    def renewed_after(self, window: tuple[float | None, float] | Exception) -> float:
        """Days after which the second order is made."""
        self.wanted = ["a.example"]
        self.window = window
        self.let_pass(60)
        begin = self.clock.seconds()
        while len(self.ordered) == 1:
            self.let_pass(0, 3600.0)
        return round((self.clock.seconds() - begin) / DAY, 1)

    def test_renewed_as_usual(self) -> None:
        self.assertAlmostEqual(self.renewed_after((None, 6 * 3600.0)), 60, delta=0.5)
        self.assertGreater(self.asked, 200)

    def test_renewed_once(self) -> None:
        """What was got is not in force at once: until then the one before says nothing."""
        self.late = 0.3
        for window in ((None, 6 * 3600.0), OrderFailed("no")):
            self.ordered.clear()
            self.own.clear()
            self.renewed_after(window)
            self.let_pass(10 * DAY, 3600.0)
            self.assertEqual(len(self.ordered), 2)

    def test_a_renewal_that_comes_into_force_nowhere(self) -> None:
        """The one before is shown; another new one would come to nothing, either."""
        self.wanted = ["a.example"]
        self.own["a.example"] = Known(self.clock.seconds() - 70 * DAY)
        self.late = 1000 * DAY
        self.let_pass(SETTLE - 10)
        self.assertEqual(len(self.ordered), 1)
        self.let_pass(DAY)
        self.assertLess(len(self.ordered), 9)
        # It was, at last: what failed before means nothing for the next time.
        self.own["a.example"] = Known(self.clock.seconds())
        self.late = 0.3
        self.let_pass(61 * DAY, 3600.0)
        count = len(self.ordered)
        self.let_pass(10 * DAY, 3600.0)
        self.assertEqual(len(self.ordered), count)

    def test_renewed_when_the_authority_says(self) -> None:
        when = self.clock.seconds() + 10 * DAY
        self.assertAlmostEqual(self.renewed_after((when, 6 * 3600.0)), 10, delta=0.5)

    def test_the_authority_does_not_say(self) -> None:
        self.assertAlmostEqual(self.renewed_after(OrderFailed("no")), 60, delta=0.5)
        self.assertLess(self.asked, 65 * DAY / ASK_AGAIN)

    def test_failures(self) -> None:
        """They are tried again, later and later; others are not kept back by them."""
        self.wanted = ["a.example", "b.example"]
        self.error = OrderFailed("refused")
        self.let_pass(50)
        self.assertEqual(self.ordered, ["a.example", "b.example"])
        self.let_pass(600)
        self.assertEqual(self.ordered.count("a.example"), 4)
        self.assertEqual(self.service.orders["issued"], 0)
        self.error = OSError(28, "full")
        self.let_pass(600)
        self.error = None
        self.let_pass(3600)
        self.assertEqual(self.service.orders["issued"], 2)

    def test_limited(self) -> None:
        self.wanted = ["a.example"]
        self.error = OrderFailed("too many", limited=True)
        self.let_pass(3500)
        self.assertEqual(len(self.ordered), 1)
        self.let_pass(200)
        self.assertEqual(len(self.ordered), 2)

    def test_no_more_than_so_many(self) -> None:
        self.wanted = [f"{each}.example" for each in range(ORDERS_AN_HOUR + 20)]
        self.let_pass(LOOK)
        while len(self.ordered) < ORDERS_AN_HOUR:
            before = len(self.ordered)
            self.let_pass(LOOK)
            self.assertGreater(len(self.ordered), before)
        self.let_pass(600)
        self.assertLess(len(self.ordered), ORDERS_AN_HOUR + 20)

    def test_a_bug(self) -> None:
        """It is told, and the rest goes on."""
        self.wanted = ["a.example"]
        self.error = ZeroDivisionError()
        self.let_pass(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.service.orders["failed"], 1)
        self.error = None
        self.let_pass(90)
        self.assertEqual(self.service.orders["issued"], 1)

    def test_a_certificate_that_comes_into_force_nowhere(self) -> None:
        """Another one would not either: authorities count."""
        self.wanted = ["a.example"]
        self.covering = lambda name, path: None  # type: ignore[method-assign]
        self.service._covering = self.covering
        self.let_pass(500)
        self.assertEqual(len(self.ordered), 1)
        self.let_pass(200)
        self.assertEqual(len(self.ordered), 2)
        self.let_pass(SETTLE)
        self.assertEqual(len(self.ordered), 2)
        self.let_pass(SETTLE)
        self.assertEqual(len(self.ordered), 3)
        self.let_pass(10 * DAY, 60.0)
        self.assertLess(len(self.ordered), 20)

    def test_stopped(self) -> None:
        """Also while something is under way."""
        begun: list[Deferred[Any]] = []

        def later(call: Callable[[], Any]) -> Deferred[Any]:
            begun.append(Deferred())
            return begun[-1]

        service = AcmeService(
            self.clock, self.clock.seconds, self, self.files, lambda: ["a.example"], self.covering,
            lambda: 0.0, later,
        )  # fmt: skip
        service.startService()
        self.clock.advance(0)
        self.assertEqual(len(begun), 1)
        service.stopService()
        begun[0].callback(None)
        self.service.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
