#!/usr/bin/env python3
"""Simulate guests of unequal speed under each balancing policy; print p50 and p99 of each.

    python benchmarks/balance_sim.py [--json] [--requests N] [--seed N] [--scenario NAME]

The policies and the members are those of the proxy (C{subproxy.core}). Everything else is a
discrete-event model: requests arrive at random (Poisson), each guest has so many workers and a
queue before them, and a service time that is exponential about its mean. Every policy sees the
same arrivals and the same amounts of work. A guest answers a ping after a base latency and the
later, the more it has to do, which is what makes ping latency worth something.

A figure is the time from the arrival at the proxy to the response, in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from subproxy.core.balancing.balancer import BALANCERS, Balancer
from subproxy.core.balancing.member import POPULATED, Member, Pool
from subproxy.core.routing.route import Route

PING_INTERVAL = 3.0


@dataclass(frozen=True)
class Speed:
    """A guest: mean seconds of service, workers, seconds of ping when idle, and when it joins.

    From C{cold} times as slow it warms up within 3 s of joining. Every C{stall_every} seconds it
    stands still for C{stall} seconds.
    """

    service: float
    workers: int = 4
    ping: float = 0.0003
    joins: float = 0.0
    cold: float = 1.0
    stall: float = 0.0
    stall_every: float = 5.0


FAST = Speed(0.004)

#: name: (guests, share of their capacity that is asked for)
SCENARIOS: dict[str, tuple[list[Speed], float]] = {
    "equal": ([FAST] * 6, 0.7),
    "unequal": ([FAST] * 4 + [Speed(0.008, ping=0.002)] * 2, 0.55),
    "one-far-slower": ([FAST] * 3 + [Speed(0.040, ping=0.010)], 0.6),
    "newcomer": ([FAST] * 4 + [Speed(0.004, joins=10.0, cold=8.0)], 0.7),
    "stalling": ([FAST] * 5 + [Speed(0.004, stall=0.5)], 0.6),
}


@dataclass
class Guest:
    """What happens inside one guest."""

    speed: Speed
    member: Member
    busy: int = 0
    queue: deque[tuple[float, float]] = field(default_factory=deque)
    served: int = 0

    def runs_from(self, now: float) -> float:
        """Return C{now}, or when the stall is over that it falls into."""
        speed = self.speed
        if speed.stall:
            phase = now % speed.stall_every
            if phase > speed.stall_every - speed.stall:
                return now + speed.stall_every - phase
        return now

    def finish(self, now: float, work: float) -> float:
        """Return when C{work} (1.0 is the mean) that begins now is done."""
        speed = self.speed
        age = now - speed.joins
        factor = speed.cold + (1.0 - speed.cold) * min(age / 3.0, 1.0)
        begin = self.runs_from(now)
        end = begin + speed.service * work * factor
        if speed.stall and end // speed.stall_every > begin // speed.stall_every:
            end += speed.stall
        return end

    def round_trip(self, now: float, rng: Random) -> float:
        """Return how long a ping takes: a loaded guest answers later."""
        speed = self.speed
        load = (self.busy + len(self.queue)) / speed.workers
        waits = self.runs_from(now) - now
        return waits + speed.ping * rng.uniform(0.8, 1.5) + 0.2 * speed.service * load


class Simulation:
    """One scenario under one policy."""

    def __init__(self, speeds: list[Speed], load: float, balancer: Balancer, seed: int) -> None:
        self.balancer = balancer
        self.work = Random(seed)
        self.choices = Random(seed + 1)
        self.pings = Random(seed + 2)
        self.rate = load * sum(s.workers / s.service for s in speeds if not s.joins)
        self.pool = Pool(Route(rb"app\.example"), now=0.0)
        self.guests: dict[Member, Guest] = {}
        self.events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.serial = 0
        self.latencies: list[float] = []
        for speed in speeds:
            # Who is there from the beginning has been for long: its slow start is over.
            since = speed.joins or -1000.0
            member = Member("vm", b"app", b"%d" % len(self.guests), now=since)
            self.guests[member] = Guest(speed, member)
            self.at(speed.joins, self.join, member)

    def at(self, when: float, what: Callable[..., None], *args: Any) -> None:
        self.serial += 1
        heappush(self.events, (when, self.serial, what, args))

    def join(self, now: float, member: Member) -> None:
        self.pool.members.append(member)
        self.pool.vacant_since = POPULATED
        self.at(now, self.ping, member)

    def ping(self, now: float, member: Member) -> None:
        round_trip = self.guests[member].round_trip(now, self.pings)
        self.at(now + round_trip, self.pong, member, round_trip)

    def pong(self, now: float, member: Member, round_trip: float) -> None:
        member.observe(round_trip, now)
        self.at(now + PING_INTERVAL * self.pings.uniform(0.8, 1.2), self.ping, member)

    def arrive(self, now: float, left: int) -> None:
        work = self.work.expovariate(1.0)
        if left:
            self.at(now + self.work.expovariate(self.rate), self.arrive, left - 1)
        member = self.balancer.choose(self.pool, now, self.choices)
        assert member is not None
        member.in_flight += 1
        guest = self.guests[member]
        guest.served += 1
        if guest.busy < guest.speed.workers:
            self.begin(now, guest, now, work)
        else:
            guest.queue.append((now, work))

    def begin(self, now: float, guest: Guest, arrived: float, work: float) -> None:
        guest.busy += 1
        self.at(guest.finish(now, work), self.done, guest, arrived)

    def done(self, now: float, guest: Guest, arrived: float) -> None:
        guest.busy -= 1
        guest.member.in_flight -= 1
        self.latencies.append(now - arrived)
        if guest.queue:
            self.begin(now, guest, *guest.queue.popleft())

    def run(self, requests: int) -> dict[str, Any]:
        self.at(0.01, self.arrive, requests - 1)
        while len(self.latencies) < requests:
            now, _, what, args = heappop(self.events)
            what(now, *args)
        ordered = sorted(self.latencies)
        return {
            "p50": round(1000 * ordered[len(ordered) // 2], 2),
            "p99": round(1000 * ordered[len(ordered) * 99 // 100], 2),
            "shares": [round(guest.served / requests, 3) for guest in self.guests.values()],
        }


def simulate(scenario: str, policy: str, requests: int, seed: int) -> dict[str, Any]:
    """Return p50 and p99 in milliseconds, and the share of the requests each guest got."""
    speeds, load = SCENARIOS[scenario]
    return Simulation(speeds, load, BALANCERS[policy](), seed).run(requests)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--requests", type=int, default=100_000, help="of each run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenario", choices=SCENARIOS, action="append", help="default: all")
    options = parser.parse_args(arguments)
    results = {
        scenario: {
            policy: simulate(scenario, policy, options.requests, options.seed)
            for policy in BALANCERS
        }
        for scenario in options.scenario or SCENARIOS
    }
    if options.json:
        print(json.dumps({"requests": options.requests, "seed": options.seed, "ms": results}))
        return
    print(f"{'':<16} {'':<18} {'p50 ms':>8} {'p99 ms':>9}   share of each guest")
    for scenario, policies in results.items():
        for policy, result in policies.items():
            shares = " ".join(f"{share:.2f}" for share in result["shares"])
            times = f"{result['p50']:>8.2f} {result['p99']:>9.2f}"
            print(f"{scenario:<16} {policy:<18} {times}   {shares}")


if __name__ == "__main__":
    main()
