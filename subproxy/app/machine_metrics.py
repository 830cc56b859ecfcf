"""Numbers of machines, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from subproxy.machines.manager import MachineManager
from subproxy.machines.states import InstanceState


class MachineCollector(Collector):
    """What the manager of machines knows."""

    def __init__(self, manager: MachineManager) -> None:
        self._manager = manager

    def collect(self) -> Iterator[Metric]:
        """See C{Collector}."""
        manager = self._manager
        starts = CounterMetricFamily(
            "subproxy_machine_starts",
            "Starts of machines, by how they ended.",
            labels=["machine", "result"],
        )
        states = GaugeMetricFamily(
            "subproxy_machine_instances", "Instances, by state.", labels=["machine", "state"]
        )
        waiting = GaugeMetricFamily(
            "subproxy_machine_waiting", "Requests that wait for a machine.", labels=["machine"]
        )
        snapshots = CounterMetricFamily(
            "subproxy_machine_snapshots",
            "Snapshots that were taken or could not be, and starts that went on from one or could "
            "not.",
            labels=["machine", "result"],
        )
        sizes = GaugeMetricFamily(
            "subproxy_machine_snapshot_bytes", "Bytes of a machine's snapshot.", labels=["machine"]
        )
        for name, managed in sorted(manager.machines.items()):
            supervisor = managed.supervisor
            for result, count in supervisor.starts.items():
                starts.add_metric([name, result], count)
            for state in InstanceState:
                if state is not InstanceState.COLD:
                    count = sum(each.state is state for each in supervisor.instances)
                    states.add_metric([name, state.name.lower()], count)
            waiting.add_metric([name], supervisor.use.waiting)
            if managed.machine.snapshot:
                for result, count in supervisor.snapshot.counts.items():
                    snapshots.add_metric([name, result], count)
                sizes.add_metric([name], manager.snapshots.size(name))
        times = HistogramMetricFamily(
            "subproxy_machine_start_seconds",
            "From the start of an instance until it has registered.",
        )
        times.add_metric([], manager.start_times.cumulative(), manager.start_times.total)
        phases = HistogramMetricFamily(
            "subproxy_machine_start_phase_seconds",
            "Parts of starts that requests waited for, until the first byte of an answer.",
            labels=["phase"],
        )
        for phase, found in manager.phase_times.items():
            phases.add_metric([phase], found.cumulative(), found.total)
        yield from (starts, states, waiting, times, phases, snapshots, sizes)
