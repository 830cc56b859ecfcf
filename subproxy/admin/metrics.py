"""The metrics page: what L{Counters} counted and what the core knows, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from subproxy.admin.view import Data, text
from subproxy.core.balancing.member import MemberState, is_worker
from subproxy.core.dispatcher import Dispatcher
from subproxy.core.printable import printable
from subproxy.core.routing.registry import Registry
from subproxy.telemetry.counters import Counters


class ProxyCollector(Collector):
    """
    Collects everything at the moment that it is asked for.

    @ivar handshakes: of TLS, by how they ended; None if there is no TLS.
    @ivar clients: of TLS that were asked for a certificate and let in, by what they have shown.
    @ivar orders: of certificates, by how they ended; None if none are ordered.
    @ivar certificates: those that are shown over TLS, as plain data.
    @ivar floods: connections of HTTP/2 that were ended because of what came too often, by that.
    @ivar gauges: further numbers, by name: what they are, and a function for their value.
    """

    def __init__(self, counters: Counters, registry: Registry, dispatcher: Dispatcher) -> None:
        self._counters = counters
        self._registry = registry
        self._dispatcher = dispatcher
        self.handshakes: Mapping[str, int] | None = None
        self.clients: Mapping[str, int] = {}
        self.orders: Mapping[str, int] | None = None
        self.certificates: Callable[[], list[Data]] = list
        self.floods: Mapping[str, int] = {}
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}

    def collect(self) -> Iterator[Metric]:
        """See L{Collector}."""
        yield from self._requests()
        yield from self._subscribers()
        yield from self._queue()
        if self.handshakes is not None:
            yield from self._tls(self.handshakes)
        floods = CounterMetricFamily(
            "subproxy_http2_floods",
            "Connections of HTTP/2 that were ended because of what came too often.",
            labels=["kind"],
        )
        for kind, count in self.floods.items():
            floods.add_metric([kind], count)
        yield floods
        for name, (what, value) in self.gauges.items():
            yield GaugeMetricFamily(f"subproxy_{name}", what, value=value())

    def _requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "subproxy_requests", "Finished requests.", labels=["route", "code"]
        )
        sent = CounterMetricFamily(
            "subproxy_response_bytes", "Body bytes to clients.", labels=["route"]
        )
        received = CounterMetricFamily(
            "subproxy_request_bytes", "Body bytes from clients.", labels=["route"]
        )
        first = HistogramMetricFamily(
            "subproxy_first_byte_seconds",
            "From a request to the first byte of its response.",
            labels=["route"],
        )
        last = HistogramMetricFamily(
            "subproxy_request_seconds",
            "From a request to the last byte of its response.",
            labels=["route"],
        )
        for name, counters in self._counters.routes.items():
            for status, count in counters.statuses.items():
                requests.add_metric([name, str(status)], count)
            sent.add_metric([name], counters.sent)
            received.add_metric([name], counters.received)
            for family, histogram in ((first, counters.first_byte), (last, counters.last_byte)):
                family.add_metric([name], histogram.cumulative(), histogram.total)
        errors = CounterMetricFamily(
            "subproxy_errors", "Requests without a good answer.", labels=["error"]
        )
        for code, count in self._counters.errors.items():
            errors.add_metric([code], count)
        yield from (requests, sent, received, first, last, errors)

    def _subscribers(self) -> Iterator[Metric]:
        labels = ["identity", "application", "worker"]
        latency = GaugeMetricFamily(
            "subproxy_subscriber_ping_seconds", "Average round trip of pings.", labels=labels
        )
        weight = GaugeMetricFamily("subproxy_subscriber_weight", "Declared weight.", labels=labels)
        flying = GaugeMetricFamily("subproxy_subscriber_in_flight", "Exchanges now.", labels=labels)
        ready = GaugeMetricFamily(
            "subproxy_subscriber_ready", "1 if it is given new requests.", labels=labels
        )
        for member in self._registry.members():
            if is_worker(member):
                continue
            values = [printable(member.identity), text(member.application), str(member.worker)]
            latency.add_metric(values, member.latency)
            weight.add_metric(values, member.weight)
            flying.add_metric(values, member.in_flight)
            ready.add_metric(values, float(member.state == MemberState.READY))
        yield from (latency, weight, flying, ready)

    def _tls(self, handshakes: Mapping[str, int]) -> Iterator[Metric]:
        ended = CounterMetricFamily(
            "subproxy_tls_handshakes", "Handshakes, by how they ended.", labels=["outcome"]
        )
        for outcome, count in handshakes.items():
            ended.add_metric([outcome], count)
        clients = CounterMetricFamily(
            "subproxy_tls_client_certificates",
            "Clients that were asked for a certificate and let in, by what they have shown.",
            labels=["outcome"],
        )
        for outcome, count in self.clients.items():
            clients.add_metric([outcome], count)
        expiry = GaugeMetricFamily(
            "subproxy_certificate_expiry_timestamp_seconds",
            "When the certificate in force expires.",
            labels=["path"],
        )
        usable = GaugeMetricFamily(
            "subproxy_certificate_usable",
            "1 if what its files hold now is in force.",
            labels=["path", "state"],
        )
        for each in self.certificates():
            path = printable(each["path"])
            if each["not_after"] is not None:
                expiry.add_metric([path], each["not_after"])
            usable.add_metric([path, each["state"]], float(not each["problem"]))
        yield from (ended, clients, expiry, usable)
        if self.orders is not None:
            orders = CounterMetricFamily(
                "subproxy_acme_orders", "Orders of certificates.", labels=["outcome"]
            )
            for outcome, count in self.orders.items():
                orders.add_metric([outcome], count)
            yield orders

    def _queue(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "subproxy_waiting", "Requests that wait.", value=self._dispatcher.admission.waiting
        )
        yield GaugeMetricFamily("subproxy_routes", "Routes.", value=len(self._registry))
        verdicts = CounterMetricFamily(
            "subproxy_retry_decisions",
            "Exchanges whose guest failed, by what was decided.",
            labels=["decision"],
        )
        for verdict, count in self._dispatcher.verdicts.items():
            verdicts.add_metric([verdict.name.lower()], count)
        yield verdicts
        ejections = CounterMetricFamily(
            "subproxy_ejections",
            "Subscribers that got nothing for a while because they failed, by why.",
            labels=["reason"],
        )
        for reason, count in self._dispatcher.failing.ejections.items():
            ejections.add_metric([reason], count)
        yield ejections
