"""Which tests are run together, by which runner, and what may be busy beside them.

A new module of tests needs no row here: it is a unit test, or an integration test that may run
beside others. It gets one if its measurements ask for a machine that does nothing else, if it
boots machines, or if it runs suites that are not ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TRIAL, PYTEST = "trial", "pytest"

MACHINES = frozenset(
    {
        "test_acme",
        "test_go_machine",
        "test_guest_init",
        "test_http2_spec",
        "test_reactor_conformance",
        "test_reactor_oldest",
        "test_tunnels_killed",
        "test_vm_applications",
        "test_vm_boot",
        "test_vm_container_docs",
        "test_vm_docs",
        "test_vm_drivers",
        "test_vm_failures",
        "test_vm_guest",
        "test_vm_native",
        "test_vm_on_demand",
    }
)
"""Boots virtual machines, or runs suites that are not ours, or much at once: for minutes."""

NIGHTLY = frozenset(
    {
        "test_autobahn",
        "test_autobahn_applications",
        "test_cluster_cuts",
        "test_cluster_cuts_workers",
    }
)
"""Runs suites that are not ours, for many minutes, on interpreters that few have; or cuts networks,
which wants root, and waits for what expires."""

ALONE = frozenset(
    {
        "test_bodies",
        "test_kill_alike",
        "test_main_job",
        "test_reactor_rules",
        "test_reactor_stream_rules",
    }
)
"""Asserts times, or shares of a processor, and keeps one busy."""

BESIDE_ONE = frozenset({"test_http_attacks", "test_reactor_processes", "test_reactor_quiet"})
"""Asserts times, and waits through most of them: a third of one of two processors. It may run
beside one of those above, and not beside three others."""

LONG = (
    "test_threats",
    "test_machines",
    "test_workers",
    "test_departures",
    "test_http2",
    "test_vm_image",
    "test_hosts_workers",
    "test_guest_process",
    "test_starting",
    "test_kill_loop",
    "test_sidecar",
    "test_bodies_killed",
    "test_handover",
    "test_handover_loop",
    "test_packaging",
    "test_failing_guests",
    "test_cluster",
    "test_applications",
)
"""Takes half a minute or more: begun first, the longest before all, so that no lane is left with
one at the end."""

TOGETHER = 4
"""Modules that one process runs of those that take less: to begin one costs a second."""

LANES = 4
"""Processes side by side on two cores: integration tests mostly wait, for others or for a time."""

MEASURED = frozenset(
    {
        "test_admin",
        "test_bad_options",
        "test_basic_auth",
        "test_bodies",
        "test_bodies_killed",
        "test_bodies_whole",
        "test_cluster",
        "test_endpoints_folder",
        "test_endpoints_hybrid",
        "test_etcd_store",
        "test_fastpath",
        "test_forward_auth",
        "test_guest_process",
        "test_handover",
        "test_http2",
        "test_init_namespace",
        "test_machines",
        "test_main_job",
        "test_reactor_generic",
        "test_reactor_processes",
        "test_reactor_relay",
        "test_reactor_rules",
        "test_reactor_stream_rules",
        "test_reactor_transports",
        "test_sidecar",
        "test_sidecar_process",
        "test_tunnel_splice",
        "test_vm_image",
        "test_vmm_replay",
        "test_workers",
    }
)
"""Without these whole modules would not have run: what twistd, guests and init do as processes,
and what needs real sockets. They are run with branch coverage, as the unit tests are."""


@dataclass(frozen=True)
class Shard:
    """
    What one process runs. It is ended after so many seconds.

    C{examples}: a divisor; of the examples that hypothesis tries, it tries this part.
    """

    name: str
    runner: str
    modules: tuple[str, ...]
    measured: bool = False
    limit: int = 1200
    examples: int = 1


@dataclass(frozen=True)
class Phase:
    """
    Lanes that run side by side, each shard of a lane after the other.

    C{queue}: what a lane takes next, one after the other, when it is done with its own.
    """

    name: str
    about: str
    lanes: tuple[tuple[Shard, ...], ...]
    queue: tuple[Shard, ...] = ()


def unit_modules(root: Path) -> tuple[str, ...]:
    """The modules of the unit tests: C{tests.process.test_gc_tuning}."""
    return _modules(root, lambda folder: folder not in {"integration", "fuzz"})


def integration_modules(root: Path) -> tuple[str, ...]:
    """Those of the integration tests: real processes and sockets."""
    return _modules(root, lambda folder: folder == "integration")


def phases(root: Path, wanted: frozenset[str]) -> list[Phase]:
    """The phases of the wanted groups: C{unit}, C{integration}, C{machines}, C{nightly}."""
    found: list[Phase] = []
    unit = unit_modules(root)
    integration = integration_modules(root)
    beside = _choose(integration, lambda name: name not in ALONE | BESIDE_ONE | MACHINES | NIGHTLY)
    queue = _queue("integration tests", beside)
    units = (
        # The search is trial's, which runs them twice as fast.
        Shard("unit tests, pytest, branch coverage", PYTEST, unit, measured=True, examples=10),
        Shard("unit tests, trial", TRIAL, unit),
    )
    if "unit" in wanted and "integration" in wanted:
        lanes = (units, *((),) * (LANES - 1))
        about = "unit tests beside integration tests that mostly wait"
        found.append(Phase(about, "11 min", lanes, queue))
    elif "unit" in wanted:
        found.append(Phase("unit tests", "2 min", tuple((shard,) for shard in units)))
    elif "integration" in wanted:
        lanes = ((),) * LANES
        found.append(Phase("integration tests that mostly wait", "5 min", lanes, queue))
    if "integration" in wanted:
        lanes = tuple(
            _both(f"integration tests that {what}, trial", _choose(integration, which.__contains__))
            for what, which in (("measure", ALONE), ("measure and wait", BESIDE_ONE))
        )
        found.append(Phase("integration tests that measure, two at a time", "1 min", lanes))
    if "machines" in wanted:
        machines = _choose(integration, lambda name: name in MACHINES)
        lanes = (_both("machines and Twisted's own suites, trial", machines, 3000),)
        found.append(Phase("machines and Twisted's own suites", "10 min", lanes))
    if "nightly" in wanted:
        nightly = _choose(integration, lambda name: name in NIGHTLY)
        lanes = (_both("foreign suites, trial", nightly, 3000),)
        found.append(Phase("foreign suites", "15 min", lanes))
    return found


def _queue(name: str, modules: tuple[str, ...]) -> tuple[Shard, ...]:
    """What lanes take one after the other: the long ones alone and first, the others by a few."""
    long = _choose(modules, lambda each: each in LONG)
    groups = [
        (module,) for module in sorted(long, key=lambda each: LONG.index(each.rpartition(".")[2]))
    ]
    for measured in (True, False):
        rest = _choose(
            modules, lambda each, of=measured: each not in LONG and (each in MEASURED) is of
        )
        groups += [rest[at : at + TOGETHER] for at in range(0, len(rest), TOGETHER)]
    return tuple(
        shard
        for number, group in enumerate(groups, 1)
        for shard in _both(f"{name}, {number} of {len(groups)}, trial", group)
    )


def _both(name: str, modules: tuple[str, ...], limit: int = 1200) -> tuple[Shard, ...]:
    """The measured modules with branch coverage, then the others."""
    measured = _choose(modules, lambda each: each in MEASURED)
    others = tuple(module for module in modules if module not in measured)
    shards = (
        Shard(f"{name}, branch coverage", TRIAL, measured, measured=True, limit=limit),
        Shard(name, TRIAL, others, limit=limit),
    )
    return tuple(shard for shard in shards if shard.modules)


def _choose(modules: tuple[str, ...], wanted: Callable[[str], bool]) -> tuple[str, ...]:
    return tuple(module for module in modules if wanted(module.rpartition(".")[2]))


def _modules(root: Path, wanted: Callable[[str], bool]) -> tuple[str, ...]:
    files = sorted((root / "tests").rglob("test_*.py"))
    relative = [file.relative_to(root) for file in files]
    return tuple(".".join(path.with_suffix("").parts) for path in relative if wanted(path.parts[1]))
