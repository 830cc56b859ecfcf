"""
What is counted of each finished exchange: plain numbers, read when somebody asks.

Routes are the label, as they were registered: never a host or a path that a client sent, of
which there is no end. All exchanges without route count under one name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from weakref import WeakKeyDictionary

from zope.interface import implementer

from subproxy.core.balancing.member import Pool
from subproxy.core.printable import printable
from subproxy.telemetry.exchange_record import ExchangeRecord, IExchangeLog

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper ends of the buckets of the histograms, seconds."""

MAX_ROUTES = 10_000
"""Routes that are told apart; beyond them all count under L{OTHER}."""

MAX_NAMES = 2 << 20
"""Characters of all their names together; likewise."""

NO_ROUTE = "-"
OTHER = "other"


class Histogram:
    """
    How long things took.

    @ivar counts: by bucket, the last one for what is longer than all.
    @ivar total: the sum, seconds.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """Upper end and count of all up to it, as Prometheus has it."""
        found: list[tuple[str, float]] = []
        count = 0
        ends = [str(end) for end in BUCKETS] + ["+Inf"]
        for end, number in zip(ends, self.counts, strict=True):
            count += number
            found.append((end, count))
        return found


class RouteCounters:
    """The counts of one route."""

    __slots__ = ("first_byte", "last_byte", "received", "sent", "statuses")

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.sent = 0
        self.received = 0
        self.first_byte = Histogram()
        self.last_byte = Histogram()


@implementer(IExchangeLog)
class Counters:
    """
    Counts finished exchanges.

    @ivar before: called before anybody looks at the counts: who has counted elsewhere adds it here.
    @ivar errors: by the code of L{subproxy.errors}.
    """

    def __init__(self) -> None:
        self.before: list[Callable[[], None]] = []
        self._routes: dict[str, RouteCounters] = {}
        self.errors: Counter[str] = Counter()
        self._of_pool: WeakKeyDictionary[Pool, RouteCounters] = WeakKeyDictionary()
        self._room = MAX_NAMES

    def exchangeEnded(self, record: ExchangeRecord) -> None:
        """See L{IExchangeLog}."""
        exchange = record.exchange
        counters = self.of(exchange.pool)
        counters.statuses[record.status] += 1
        counters.sent += record.sent
        body = exchange.body
        counters.received += exchange.streamed if body is None else len(body)
        if record.first_byte:
            counters.first_byte.add(record.first_byte - record.started)
        counters.last_byte.add(record.ended - record.started)
        if exchange.error is not None:
            self.errors[exchange.error.code] += 1

    @property
    def routes(self) -> dict[str, RouteCounters]:
        """The counts by the text of the route."""
        for settle in self.before:
            settle()
        return self._routes

    def of(self, pool: Pool | None) -> RouteCounters:
        """The counts of the route of C{pool}."""
        if pool is None:
            return self._named(NO_ROUTE)
        found = self._of_pool.get(pool)
        if found is None:
            found = self._of_pool[pool] = self._named(printable(str(pool.route)))
        return found

    def _named(self, name: str) -> RouteCounters:
        found = self._routes.get(name)
        if found is None:
            if name != OTHER:
                if len(self._routes) >= MAX_ROUTES or len(name) > self._room:
                    return self._named(OTHER)
                self._room -= len(name)
            found = self._routes[name] = RouteCounters()
        return found


@implementer(IExchangeLog)
class ExchangeLogFanOut:
    """Several logs as one."""

    def __init__(self, *logs: IExchangeLog) -> None:
        self._logs = logs

    def exchangeEnded(self, record: ExchangeRecord) -> None:
        """See L{IExchangeLog}."""
        for log in self._logs:
            log.exchangeEnded(record)
