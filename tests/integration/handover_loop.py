"""
What becomes of requests while proxies hand over to new code each second (SIGUSR2), under load.

    python -m tests.integration.handover_loop [--seconds N] [SCENARIO...]

prints what became of all. C{workers}: a parent and its workers; C{hosts}: the two hosts of a
cluster in turn, of which one has the clients and the other one the guests; C{hosts-workers}: the
same with workers. C{test_handover_loop} runs them briefly; one process alone is a scenario of
C{kill_loop}.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.etcd import Etcd
from tests.integration.harness import World, wait_until
from tests.integration.host import Host
from tests.integration.kill_loop import HOLD, HOST, answers, executed_in
from tests.integration.load import Load, Outcome
from tests.integration.nursery import Nursery
from tests.integration.successors import Line
from tests.rigs.tls_rig import Authority

MUCH = "much.example"
INTERVAL = 1.0
"""Seconds from one hand-over to the next, or longer, if the one before is not over."""

LEAST = 2
"""Hand-overs that there are, however long they take."""


@dataclass
class HandOvers:
    """
    What became of requests.

    @ivar outcomes: of GET, of POST, and of GET with answers of 200 kB.
    @ivar took: seconds of each hand-over.
    @ivar executed: how often each POST was, by number.
    """

    name: str
    outcomes: dict[str, Outcome]
    took: list[float] = field(default_factory=list)
    executed: Counter[int] = field(default_factory=Counter)

    @property
    def problems(self) -> list[str]:
        """What is wrong: requests that were lost, answered twice or by halves, executed twice."""
        found = []
        for kind, outcome in self.outcomes.items():
            wrong = outcome.failed, outcome.unconnected, outcome.unasked, len(outcome.mixed)
            if any(wrong):
                found.append(
                    f"{kind}: {outcome}, {outcome.unasked} unasked, {len(outcome.mixed)} mixed"
                    f" {outcome.troubles[:3]}"
                )
        twice = [number for number, count in self.executed.items() if count > 1]
        differ = self.outcomes["POST"].answered ^ set(self.executed)
        if twice:
            found.append(f"POST executed twice: {twice[:5]}")
        if differ:
            found.append(f"POST answered and not executed, or executed alone: {sorted(differ)[:5]}")
        return found

    def __str__(self) -> str:
        took = sorted(self.took)
        whole = "; ".join(f"{kind}: {outcome}" for kind, outcome in self.outcomes.items())
        return (
            f"{self.name}: {len(took)} hand-overs, of {took[len(took) // 2]:.2f} s,"
            f" {took[-1]:.2f} at most; {whole}; {len(self.executed)} POST executed;"
            f" {self.problems or 'nothing wrong'}"
        )


class GuestsOf:
    """Guests of a proxy, who count what they execute: two, and one with large answers."""

    def __init__(self, stack: ExitStack, world: World) -> None:
        self.executed = world.folder / "executed"
        nursery = Nursery(self.executed, world.folder / "nursery.log")
        stack.callback(nursery.close)
        for worker in range(2):
            nursery.guest(world.vsock, HOST, worker)
        words = [f"--proxy=unix:{world.vsock}_12345", "--host=much\\.example", "--worker=2"]
        nursery.start("guest", *words, "tests.integration.counting:CountingMuch")


def loop(name: str, seconds: float, asked: World, lines: list[Line], guests: GuestsOf) -> HandOvers:
    """Load C{asked}, and let one of C{lines} after the other hand over."""
    for host in ("blog.example", MUCH):
        wait_until(lambda host=host: answers(asked.port, host), f"{host} to answer")
    loads = {
        "GET": Load(asked.port, connections=12),
        "POST": Load(asked.port, connections=12, method="POST", keep=True),
        "GET of 200 kB": Load(asked.port, MUCH, connections=2, rate=40.0),
    }
    for load in loads.values():
        load.start()
    took = []
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end or len(took) < LEAST:
        lines[len(took) % len(lines)].hand_over(60.0)
        took.append(time.monotonic() - began)
        time.sleep(max(0.0, began + INTERVAL - time.monotonic()))
    outcomes = {kind: load.stop() for kind, load in loads.items()}
    for line in lines:
        line.wait_for_the_old()
        assert "Traceback" not in line.log, line.log
    return HandOvers(name, outcomes, took, executed_in(guests.executed))


def workers(seconds: float) -> HandOvers:
    """A parent with two workers hands over to its next program."""
    with ExitStack() as stack:
        world = World()
        stack.callback(world.close)
        world.start_proxy("--workers=2", "--access-log=none", HOLD).wait_for(" serves: process ", 2)
        guests = GuestsOf(stack, world)
        return loop("two workers", seconds, world, [Line(world)], guests)


def hosts(seconds: float, count: int = 1) -> HandOvers:
    """Two hosts of a cluster, each of so many workers, hand over in turn."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="subproxy-etcd-"))
        etcd = Etcd(Path(folder))
        stack.callback(etcd.kill)
        etcd.start()
        authority = Authority()
        both = [Host(name, authority) for name in ("kvm-1", "kvm-2")]
        lines = []
        for host in both:
            stack.callback(host.close)
            options = f"--cluster=etcd:{etcd.url}", HOLD, f"--workers={count}"
            proxy = host.serve(*options)
            if count > 1:
                proxy.wait_for(" serves: process ", count)
            lines.append(Line(host))
            stack.callback(lines[-1].end)
        for one, other in (both, both[::-1]):
            one.until_asks(other.name)
        guests = GuestsOf(stack, both[1])
        return loop(f"two hosts, each of {count}", seconds, both[0], lines, guests)


SCENARIOS: dict[str, Callable[[float], HandOvers]] = {
    "workers": workers,
    "hosts": hosts,
    "hosts-workers": lambda seconds: hosts(seconds, 2),
}


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[1])
    parser.add_argument("scenario", nargs="*", choices=[[], *SCENARIOS])
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    for name in asked.scenario or SCENARIOS:
        print(SCENARIOS[name](asked.seconds), flush=True)


if __name__ == "__main__":
    main()
