"""What is counted of each exchange."""

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.member import Pool
from subproxy.core.exchange import Exchange, RequestHead
from subproxy.core.routing.route import Route
from subproxy.errors import GuestGone
from subproxy.telemetry import counters as module
from subproxy.telemetry.counters import BUCKETS, Counters, ExchangeLogFanOut, Histogram
from subproxy.telemetry.exchange_record import ExchangeRecord


def record(
    pool: Pool | None = None,
    body: bytes | None = b"abc",
    status: int = 200,
    sent: int = 5,
    first_byte: float = 10.002,
) -> ExchangeRecord:
    head = RequestHead(b"GET", b"/", b"h", b"/", [])
    found = Exchange(head, body, None)  # type: ignore[arg-type]
    found.pool = pool
    return ExchangeRecord(found, status, sent, 10.0, first_byte, 10.004)


class CountersTests(SynchronousTestCase):
    def test_by_route(self) -> None:
        """Requests, bytes both ways and times of a route."""
        counters = Counters()
        pool = Pool(Route(b"h"), now=0.0)
        counters.exchangeEnded(record(pool))
        counters.exchangeEnded(record(pool, status=502, first_byte=0.0))
        streamed = record(pool, body=None)
        streamed.exchange.streamed = 100
        counters.exchangeEnded(streamed)
        route = counters.routes["h /.*"]
        self.assertEqual(dict(route.statuses), {200: 2, 502: 1})
        self.assertEqual((route.sent, route.received), (15, 106))
        self.assertEqual(sum(route.first_byte.counts), 2)
        self.assertEqual(sum(route.last_byte.counts), 3)
        self.assertAlmostEqual(route.last_byte.total, 0.012)

    def test_without_route(self) -> None:
        """What nobody serves has one name, whatever was asked for; errors have their code."""
        counters = Counters()
        failed = record()
        failed.exchange.error = GuestGone()
        counters.exchangeEnded(failed)
        self.assertEqual(list(counters.routes), ["-"])
        self.assertEqual(dict(counters.errors), {"guest-gone": 1})

    def test_bounded(self) -> None:
        """A guest that registers without end does not make the page grow without end."""
        self.patch(module, "MAX_ROUTES", 3)
        counters = Counters()
        for number in range(10):
            counters.exchangeEnded(record(Pool(Route(b"h%d" % number), now=0.0)))
        self.assertEqual(set(counters.routes), {"h0 /.*", "h1 /.*", "h2 /.*", "other"})
        self.assertEqual(counters.routes["other"].statuses[200], 7)

    def test_names_are_bounded_together(self) -> None:
        """Long names are fewer; and a pool that is gone is not kept."""
        self.patch(module, "MAX_NAMES", 1000)
        counters = Counters()
        for number in range(50):
            counters.exchangeEnded(record(Pool(Route(b"h%d" % number, b"/x" * 50), now=0.0)))
        self.assertLess(sum(map(len, counters.routes)), 1010)
        self.assertEqual(counters.routes["other"].statuses[200], 41)
        self.assertEqual(len(counters._of_pool), 0)

    def test_logs(self) -> None:
        """Several logs hear of the same."""
        one, two = Counters(), Counters()
        ExchangeLogFanOut(one, two).exchangeEnded(record())
        self.assertEqual(one.routes["-"].statuses, two.routes["-"].statuses)


class HistogramTests(SynchronousTestCase):
    def test_bounds(self) -> None:
        """An upper end belongs to its bucket; what is longer than all counts as infinite."""
        histogram = Histogram()
        for seconds in (0.0, BUCKETS[0], BUCKETS[0] + 1e-9, BUCKETS[-1], BUCKETS[-1] + 1):
            histogram.add(seconds)
        cumulative = dict(histogram.cumulative())
        self.assertEqual(cumulative["0.001"], 2)
        self.assertEqual(cumulative["0.0025"], 3)
        self.assertEqual(cumulative["30.0"], 4)
        self.assertEqual(cumulative["+Inf"], 5)
