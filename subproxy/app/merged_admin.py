"""The whole proxy's pages: what its workers say, put together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred, gatherResults

from subproxy.admin.machines_page import NO_MACHINES
from subproxy.admin.pages import Reply
from subproxy.admin.site import assigned
from subproxy.admin.view import Data
from subproxy.app.cluster_gauges import cluster_gauges
from subproxy.core.balancing.assigned import Assigned
from subproxy.core.printable import printable
from subproxy.workers.crew import Crew, decoded
from subproxy.workers.slots import Worker
from subproxy.workers.states import WorkerState

GREATEST = frozenset(
    {
        "subproxy_reactor_lag_seconds",
        "subproxy_routes",
        "subproxy_certificate_expiry_timestamp_seconds",
        "subproxy_certificate_usable",
        "subproxy_subscriber_ping_seconds",
        "subproxy_subscriber_weight",
        "subproxy_subscriber_ready",
        "subproxy_hosts_asked",
        "subproxy_hosts_asking",
    }
)
"""Gauges of which the greatest is that of the whole; all other numbers are added."""

if TYPE_CHECKING:
    from subproxy.app.cluster_hosting import ClusterHosting
    from subproxy.app.machine_changes import MachineChanges
    from subproxy.cluster.service import ClusterService
    from subproxy.config.sources import Sources
    from subproxy.machines.manager import MachineManager

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class MergedCollector(Collector):
    """
    The metrics of all workers as those of one proxy.

    @param pages: what each of them would show.
    """

    def __init__(self, pages: Sequence[str]) -> None:
        self._pages = pages

    def collect(self) -> Iterator[Metric]:
        """See C{Collector}."""
        families: dict[str, Metric] = {}
        samples: dict[str, Samples] = {}
        for page in self._pages:
            for family in text_string_to_metric_families(page):
                families.setdefault(family.name, family)
                found = samples.setdefault(family.name, {})
                for sample in family.samples:
                    key = sample.name, tuple(sorted(sample.labels.items()))
                    if key not in found:
                        found[key] = sample.value
                    elif family.name in GREATEST:
                        found[key] = max(found[key], sample.value)
                    else:
                        found[key] += sample.value
        for name, family in families.items():
            merged = Metric(family.name, family.documentation, family.type)
            for (called, labels), value in samples[name].items():
                merged.add_sample(called, dict(labels), value)
            yield merged


class CrewCollector(Collector):
    """What the parent itself knows."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def collect(self) -> Iterator[Metric]:
        """See C{Collector}."""
        workers = GaugeMetricFamily(
            "subproxy_workers", "Processes that serve, by state.", labels=["state"]
        )
        for state in WorkerState:
            if state is not WorkerState.ENDED:
                count = sum(each.state is state for each in self._crew.slots)
                workers.add_metric([state.name.lower()], count)
        yield workers
        yield CounterMetricFamily(
            "subproxy_worker_deaths",
            "Workers that ended and should not have.",
            value=self._crew.slots.deaths,
        )
        yield CounterMetricFamily(
            "subproxy_worker_hangs",
            "Workers that were killed since they did not answer any more.",
            value=self._crew.slots.hangs,
        )


class ClusterCollector(Collector):
    """What the parent knows of the store."""

    def __init__(self, cluster: ClusterService) -> None:
        self._gauges = cluster_gauges(cluster)

    def collect(self) -> Iterator[Metric]:
        """See C{Collector}."""
        for name, (documentation, value) in self._gauges.items():
            yield GaugeMetricFamily(f"subproxy_{name}", documentation, value())


class MergedAdmin:
    """
    The operations of L{subproxy.admin.site.Operations}, for all workers.

    @param reload: reads the files again, here and in all workers.
    @param clock: the reactor.
    @param manager: who keeps machines, if there are any.
    @param assigned: what an operator has said of subscribers: what new workers begin with.
    @param sources: where the settings come from; C{None}: no machine can be made.
    @param hosts: what the parent knows of other hosts; C{None}: there are none.
    """

    def __init__(
        self,
        crew: Crew,
        ready: Callable[[], bool],
        reload: Callable[[], Deferred[Reply]],
        clock: Any = None,
        manager: Callable[[], MachineManager | None] = lambda: None,
        assigned: Assigned | None = None,
        sources: Sources | None = None,
        hosts: ClusterHosting | None = None,
    ) -> None:
        self._hosts = hosts
        self._assigned = assigned or Assigned()
        self._sources = sources
        self._changes: MachineChanges | None = None
        self._clock = clock
        self._manager = manager
        self.ready = ready
        self._crew = crew
        self._reload = reload

    def metrics(self) -> Deferred[bytes]:
        """See C{Operations}."""

        def merge(pages: list[bytes]) -> bytes:
            collectors = CollectorRegistry()
            collectors.register(MergedCollector([page.decode() for page in pages if page]))
            collectors.register(CrewCollector(self._crew))
            manager = self._manager()
            if manager is not None:
                # Of those who have machines.
                from subproxy.app.machine_metrics import MachineCollector

                collectors.register(MachineCollector(manager))
            if self._hosts is not None and self._hosts.cluster is not None:
                collectors.register(ClusterCollector(self._hosts.cluster))
            return generate_latest(collectors)

        asked = [self._crew.ask(each, "metrics") for each in self._crew.serving]
        return gatherResults(asked).addCallback(merge)

    def reply(self, what: str, about: str = "") -> Reply | Deferred[Reply]:
        """See C{Operations}."""
        if what.startswith("machine"):
            manager = self._manager()
            if manager is None:
                return {"error": NO_MACHINES}, 409
            from subproxy.app.machine_changes import CHANGES, MachineChanges
            from subproxy.app.machine_operations import machine_reply

            if what in CHANGES and self._sources is not None:
                self._changes = self._changes or MachineChanges(self._sources, self._reload)
                return self._changes.reply(what, about)

            return machine_reply(manager, self._clock.seconds(), what, about)
        if what == "reload":
            return self._reload()
        workers = self._crew.serving
        asked = [self._crew.ask(each, what, about) for each in workers]
        merged = gatherResults(asked).addCallback(lambda found: _merged(what, workers, found))
        if what == "hosts":
            return merged.addCallback(self._with_the_cluster)
        if what == "overview":
            return merged.addCallback(self._with_the_parents).addCallback(self._with_the_cluster)
        assigns = what in ("weight", "drain", "undrain")
        return merged.addCallback(self._assign, what, about) if assigns else merged

    def _assign(self, reply: Reply, what: str, about: str) -> Reply | Deferred[Reply]:
        """Who is called so in one worker may dial another one next: all know what holds for it."""
        if reply[1] != 200:
            return reply
        if what == "weight":
            self._assigned.weights.set(*assigned(about))
        else:
            self._assigned.drain(printable(about), what == "drain")
        plain = json.dumps(self._assigned.plain)
        serving = self._crew.serving
        told = [self._crew.ask(each, "assigned", plain) for each in serving]
        for starting in self._crew.slots:
            if starting not in serving:
                self._crew.ask(starting, "assigned", plain)
        return gatherResults(told).addCallback(lambda _: reply)

    def _with_the_cluster(self, reply: Reply) -> Reply:
        """With what the store says, which the parent alone has."""
        data, status = reply
        if status == 200 and self._hosts is not None:
            data["host"] = self._hosts.host
            cluster = self._hosts.cluster
            data["cluster"] = None if cluster is None else cluster.data()
        return reply

    def _with_the_parents(self, reply: Reply) -> Reply:
        """With what the parent alone knows."""
        data, status = reply
        manager = self._manager()
        if status == 200 and manager is not None:
            from subproxy.machines.view import instances_view

            data["machines"] = instances_view(manager, self._clock.seconds())
        if status == 200:
            data["workers"] = [
                {
                    "worker": each.slot,
                    "serial": each.serial,
                    "state": each.state.name.lower(),
                    "pid": self._crew.pid(each),
                }
                for each in sorted(self._crew.slots, key=lambda each: (each.slot, each.serial))
            ]
        return reply


def merged_reloads(payloads: Sequence[bytes]) -> Reply:
    """What a reload has come to, in all workers."""
    found = [each for each in map(decoded, payloads) if each is not None]
    if not found:
        return {"error": "no worker has answered"}, 503
    status = max(status for _, status in found)
    data: Data = {}
    for each, _ in found:
        for key, value in each.items():
            if isinstance(value, list):
                data[key] = list(dict.fromkeys([*data.get(key, []), *value]))
            else:
                data.setdefault(key, value)
    return data, status


def _merged(what: str, workers: Sequence[Worker], payloads: Sequence[bytes]) -> Reply:
    found: list[tuple[Worker, Data, int]] = []
    for worker, payload in zip(workers, payloads, strict=True):
        reply = decoded(payload)
        if reply is not None:
            found.append((worker, *reply))
    if not found:
        return {"error": "no worker has answered"}, 503
    good = [(worker, data) for worker, data, status in found if status == 200]
    if not good:
        return found[0][1], found[0][2]
    match what:
        case "routes":
            return {"routes": _routes([data["routes"] for _, data in good])}, 200
        case "subscribers":
            listed = [
                {**each, "process": worker.slot}
                for worker, data in good
                for each in data["subscribers"]
            ]
            return {
                "subscribers": sorted(listed, key=lambda each: (each["id"], each["process"]))
            }, 200
        case "drain" | "undrain" | "weight":
            names = [each for _, data in good for each in data["subscribers"]]
            return {"subscribers": list(dict.fromkeys(names))}, 200
        case "request":
            ways = [
                {**each, "process": worker.slot}
                for worker, data in good
                for each in data["requests"]
            ]
            return {"requests": ways}, 200
        case "explain":
            return _explained(good), 200
        case "hosts":
            return {"hosts": _hosts([data["hosts"] for _, data in good])}, 200
        case "overview":
            return _overview(good), 200
    return good[0][1], 200


def _overview(good: Sequence[tuple[Worker, Data]]) -> Data:
    """One overview: numbers are added. What is at the end of a long list may be in one alone."""
    totals: Data = {}
    for _, data in good:
        for name, value in data["totals"].items():
            totals[name] = totals.get(name, 0) + value
    routes = _routes([data["routes"] for _, data in good])
    listed = [
        {**each, "process": worker.slot} for worker, data in good for each in data["subscribers"]
    ]
    return {
        "at": good[0][1]["at"],
        "totals": totals,
        "routes": routes,
        "routes_in_all": max(len(routes), *(data["routes_in_all"] for _, data in good)),
        "subscribers": sorted(listed, key=lambda each: (each["id"], each["process"])),
        "subscribers_in_all": sum(data["subscribers_in_all"] for _, data in good),
        "workers": [],
        "machines": [],
        "hosts": _hosts([data["hosts"] for _, data in good]),
        "cluster": None,
    }


def _hosts(lists: Sequence[list[Data]]) -> list[Data]:
    """Each other host once: how it stands with that worker that has come farthest with it."""
    found: dict[str, Data] = {}
    for host in (each for hosts in lists for each in hosts):
        have = found.get(host["host"])
        if have is None:
            found[host["host"]] = dict(host)
            continue
        for name, best in (("asks", "connected"), ("asked", "ready")):
            if have[name] == "no" or host[name] == best:
                have[name] = host[name]
        have["address"] = have["address"] or host["address"]
        have["routes"] = max(have["routes"], host["routes"])
        have["in_flight"] += host["in_flight"]
        measured = [each["latency"] for each in (have, host) if each["latency"] is not None]
        have["latency"] = min(measured, default=None)
    return [found[name] for name in sorted(found)]


COUNTED = ("waiting", "requests", "errors", "answers", "first_byte")
"""Numbers of a route that are added."""


def _routes(lists: Sequence[list[Data]]) -> list[Data]:
    """Each route once, in the order of precedence, which is the same everywhere."""
    found: dict[tuple[str, str], Data] = {}
    order: list[tuple[str, str]] = []
    for routes in lists:
        at = 0
        for route in routes:
            key = route["host"], route["path"]
            if key in found:
                have = found[key]
                have["vacant"] = have["vacant"] and route["vacant"]
                for name in COUNTED:
                    if name in route:
                        have[name] += route[name]
                named = [*have["subscribers"], *route["subscribers"]]
                have["subscribers"] = list(dict.fromkeys(named))
                at = order.index(key) + 1
            else:
                found[key] = dict(route)
                order.insert(at, key)
                at += 1
    return [found[key] for key in order]


def _explained(good: Sequence[tuple[Worker, Data]]) -> Data:
    """The answer of the first worker that has a winner, with the subscribers of all."""
    best = next((data for _, data in good if data["route"] is not None), good[0][1])
    found: dict[str, Any] = dict(best)
    found["subscribers"] = [
        {**each, "process": worker.slot}
        for worker, data in good
        if data["route"] is not None
        and best["route"] is not None
        and (data["route"]["host"], data["route"]["path"])
        == (best["route"]["host"], best["route"]["path"])
        for each in data["subscribers"]
    ]
    if best["route"] is not None:
        named = [
            name
            for _, data in good
            if data["route"] is not None
            for name in data["route"]["subscribers"]
        ]
        found["route"] = {**best["route"], "subscribers": list(dict.fromkeys(named))}
    return found
