"""The state of machines as plain data, for the API and the command line."""

from __future__ import annotations

import os
from typing import Any

from subproxy.core.printable import printable
from subproxy.machines.declaration import Machine
from subproxy.machines.instance import Instance
from subproxy.machines.managed import ManagedMachine
from subproxy.machines.manager import MachineManager
from subproxy.machines.states import COMING, InstanceState

Data = dict[str, Any]


def machines_view(manager: MachineManager, now: float) -> list[Data]:
    """All machines, by name, and the templates that some of them are of."""
    found = [machine_view(manager, each, now) for each in manager.machines.values()]
    found += map(template_view, manager.templates)
    return sorted(found, key=lambda each: each["name"])


def template_view(machine: Machine) -> Data:
    """A template: it has the keys of a machine, and never runs itself."""
    return {
        "name": machine.name,
        "vmm": machine.vmm,
        "hosts": list(machine.hosts),
        "state": "template",
        "waiting": 0,
        "most": machine.most,
        "starts": {"registered": 0, "failed": 0},
        "failures": 0,
        "reason": "",
        "snapshot": None,
        "next_attempt": 0.0,
        "instances": [],
    }


def machine_view(manager: MachineManager, managed: ManagedMachine, now: float) -> Data:
    """One machine, and its instances but those that never ran."""
    supervisor, machine = managed.supervisor, managed.machine
    back_off = supervisor.back_off
    return {
        "name": machine.name,
        "vmm": machine.vmm,
        "hosts": list(machine.hosts),
        "state": _state(managed),
        "waiting": supervisor.use.waiting,
        "most": machine.most,
        "starts": dict(supervisor.starts),
        "failures": back_off.failures,
        "reason": printable(back_off.reason),
        "snapshot": _snapshot_view(manager, managed),
        "next_attempt": round(max(0.0, back_off.until - now), 3),
        "instances": [
            _instance_view(managed, each, now) for each in supervisor.instances if each.starts
        ],
    }


def instances_view(manager: MachineManager, now: float) -> list[Data]:
    """
    A row for each instance that is not cold, and one for each machine of which all are.

    @return: of each C{machine}, C{index} (None of a machine that is cold), C{state}, C{since},
        C{starts}, C{start_seconds}, C{waiting}, C{busy}, C{failed}, C{memory} and C{reason}: why
        the last start failed, or nothing.
    """
    cold = InstanceState.COLD.name.lower()
    rows: list[Data] = []
    for machine in machines_view(manager, now):
        whole = {
            "machine": machine["name"],
            "index": None,
            "state": machine["state"],
            "waiting": machine["waiting"],
            "failed": machine["starts"]["failed"],
            "reason": machine["reason"] if machine["failures"] else "",
            **{"since": None, "starts": None, "start_seconds": None, "busy": 0, "memory": 0},
        }
        running = [each for each in machine["instances"] if each["state"] != cold]
        for each in running:
            rows.append({key: each.get(key, value) for key, value in whole.items()})
        if not running:
            rows.append(whole)
    return rows


def _snapshot_view(manager: MachineManager, managed: ManagedMachine) -> Data | None:
    """Its snapshot; None: none is to be made."""
    if not managed.machine.snapshot:
        return None
    plan = managed.supervisor.snapshot
    return {
        "state": plan.state.name.lower(),
        "bytes": manager.snapshots.size(managed.machine.name),
        "reason": printable(plan.reason),
        **plan.counts,
    }


def _state(managed: ManagedMachine) -> str:
    """That of the instance that has come farthest."""
    supervisor = managed.supervisor
    if managed.removed:
        return "removed"
    if supervisor.instances.up:
        return "up"
    if supervisor.instances.coming:
        return "starting"
    if supervisor.instances.cold:
        return "failed" if supervisor.back_off.failures else "cold"
    return "stopping"


def _instance_view(managed: ManagedMachine, instance: Instance, now: float) -> Data:
    running = managed.running.get(instance.index)
    use = managed.supervisor.use.instance(instance.index)
    return {
        "index": instance.index,
        "state": instance.state.name.lower(),
        "since": round(now - instance.since, 3),
        "starts": instance.starts,
        "restored": instance.restores,
        "start_seconds": None if instance.took is None else round(instance.took, 3),
        "start_split": {
            phase: None if seconds is None else round(seconds, 4)
            for phase, seconds in instance.wake.split().items()
        },
        "busy": use.busy,
        "pid": None if running is None else running.pid,
        "memory": 0 if running is None else memory_of(running.pid),
    }


def memory_of(pid: int) -> int:
    """Bytes of memory that a process has resident; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def latest(managed: ManagedMachine) -> int:
    """Which instance is meant where nobody says: one that runs, else the last one that ran."""
    instances = managed.supervisor.instances
    ranks = [
        (
            each.state in COMING or each.state is InstanceState.UP,
            each.state is not InstanceState.COLD,
            each.began,
            -each.index,
        )
        for each in instances
    ]
    return ranks.index(max(ranks))
