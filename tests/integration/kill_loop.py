"""
What becomes of requests while guests, or the proxy itself, are killed, frozen, told to stop.

    python -m tests.integration.kill_loop [--seconds N] [--peers] [SCENARIO...]

prints a line for each scenario; C{benchmarks/reliability-history.md} has such runs.
C{test_kill_loop} runs them briefly. The same client and the same kills meet nginx and HAProxy,
before back ends that are cheaper than the guest library: what a proxy adds, L{kill_alike} tells.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from benchmarks.rig import raise_descriptor_limit
from tests.integration.admin_client import metric
from tests.integration.harness import World, wait_until
from tests.integration.load import Load, Outcome
from tests.integration.nursery import Nursery
from tests.integration.peers_kill import available, ports, start_peer
from tests.integration.successors import Line, alive
from tests.integration.swarm import Swarm

LAG_WINDOW = 31.0
"""Seconds for which the proxy remembers its longest lag."""

HOLD = "--hold=15"
"""Longer than the default, because a machine with much else to do starts a guest slowly."""

HOST = "blog\\.example"
CONNECTIONS = 32
Disturb = Callable[["Scene", int], None]


@dataclass
class Result:
    """
    A scenario's end.

    @ivar kills: how often somebody was disturbed.
    @ivar executed: how often each number was executed, by what the guests wrote down.
    """

    name: str
    outcome: Outcome
    kills: int = 0
    executed: Counter[int] = field(default_factory=Counter)
    notes: str = ""

    @property
    def twice(self) -> list[int]:
        """Numbers that were executed more than once."""
        return [number for number, count in self.executed.items() if count > 1]

    @property
    def lost(self) -> set[int]:
        """Numbers that were answered 200 but never executed: there must be none."""
        return self.outcome.answered - set(self.executed) if self.executed else set()

    def __str__(self) -> str:
        executed = f"; {len(self.executed)} executed, {len(self.twice)} twice"
        return (
            f"{self.name}: {self.outcome}; {self.kills} disturbances"
            f"{executed if self.executed else ''}{self.notes}"
        )


class Scene:
    """A proxy and two guests, who come back when they are killed."""

    def __init__(self, *options: str) -> None:
        self.world = World()
        self.executed = self.world.folder / "executed"
        self.nursery = Nursery(self.executed, self.world.folder / "nursery.log")
        self.options = (
            *("--access-log=none", HOLD, "--ping-interval=0.3", "--ping-timeout=0.6"),
            *options,
        )
        self.guests = [0, 0]

    @property
    def port(self) -> int:
        """Where clients connect."""
        return self.world.port

    def start(self) -> None:
        """The proxy and its guests."""
        proxy = self.world.start_proxy(*self.options)
        for worker in range(2):
            self.renew(worker)
        proxy.wait_for(" serves ", 2)

    def renew(self, worker: int) -> None:
        """Start that guest."""
        self.guests[worker] = self.nursery.guest(self.world.vsock, HOST, worker)

    def close(self) -> None:
        """End everything."""
        self.nursery.close()
        self.world.close()


@contextmanager
def scene(*options: str) -> Iterator[Scene]:
    """A L{Scene} that ends."""
    there = Scene(*options)
    try:
        there.start()
        yield there
    finally:
        there.close()


def executed_in(path: Path) -> Counter[int]:
    """How often each number was executed."""
    return Counter(map(int, path.read_text().split())) if path.exists() else Counter()


def disturbed(
    name: str,
    seconds: float,
    disturb: Disturb,
    *options: str,
    method: str = "GET",
    interval: float = 1.0,
) -> Result:
    """Load two guests, and disturb one of them, in turn, each C{interval}."""
    with scene(*options) as there:
        load = Load(there.port, method=method, connections=CONNECTIONS, body=b"", keep=True)
        load.start()
        kills, end = 0, time.monotonic() + seconds
        while time.monotonic() < end - interval / 2:
            time.sleep(interval)
            disturb(there, kills % 2)
            kills += 1
        time.sleep(interval)
        return Result(name, load.stop(), kills, executed_in(there.executed))


def kill(there: Scene, worker: int) -> None:
    """SIGKILL; another is started at once."""
    there.nursery.kill(there.guests[worker])
    there.renew(worker)


def freeze(there: Scene, worker: int) -> None:
    """SIGSTOP for a time that is longer than the ping time-out."""
    pid = there.guests[worker]
    there.nursery.kill(pid, signal.SIGSTOP)
    thaw = threading.Timer(0.9, there.nursery.kill, (pid, signal.SIGCONT))
    thaw.daemon = True
    thaw.start()


def stop(there: Scene, worker: int) -> None:
    """SIGTERM: the guest drains; another is started when it is gone."""
    pid = there.guests[worker]
    there.nursery.kill(pid, signal.SIGTERM)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the guest to leave")
    there.nursery.pids.discard(pid)
    there.renew(worker)


def replace(there: Scene, worker: int) -> None:
    """A newer instance of the same worker appears: the older one is closed."""
    old = there.guests[worker]
    there.renew(worker)
    wait_until(lambda: not os.path.exists(f"/proc/{old}"), "the replaced guest to leave")
    there.nursery.pids.discard(old)


def roll(there: Scene, worker: int) -> None:
    """Every guest is told to stop, one after the other."""
    for each in range(2):
        stop(there, each)


def proxy_killed(seconds: float) -> Result:
    """SIGKILL the proxy, start it at once: how long until it accepts, and until a guest answers."""
    with scene() as there:
        accepting: list[float] = []
        answering: list[float] = []
        end, kills = time.monotonic() + seconds, 0
        while kills == 0 or time.monotonic() < end:
            proxy = there.world.proxy
            assert proxy is not None
            proxy.signal(signal.SIGKILL)
            proxy.wait()
            began = time.monotonic()
            there.world.proxy = there.world.start("proxy", proxy.command)
            wait_until(lambda: _serves(there.port), "the proxy to serve")
            accepting.append(time.monotonic() - began)
            wait_until(lambda: answers(there.port), "a guest to answer")
            answering.append(time.monotonic() - began)
            kills += 1
        notes = (
            f"; accepting after {max(accepting):.2f} s at most,"
            f" a guest answers after {max(answering):.2f} s at most"
        )
        outcome = Load(there.port, connections=4).run_for(0.5)
        return Result("proxy SIGKILLed", outcome, kills, notes=notes)


def handed_over(seconds: float) -> Result:
    """The proxy hands over to a new process each second, or when the one before has come up."""
    with scene() as there:
        line = Line(there.world)
        get = Load(there.port, connections=CONNECTIONS // 2)
        post = Load(there.port, method="POST", connections=CONNECTIONS // 2, keep=True)
        get.start()
        post.start()
        kills, began = 0, time.monotonic()
        took: list[float] = []
        while (now := time.monotonic()) < began + seconds:
            line.hand_over()
            took.append(time.monotonic() - now)
            kills += 1
            time.sleep(max(0.0, now + 1.0 - time.monotonic()))
        outcome, posted = get.stop(), post.stop()
        line.end()
        executed = executed_in(there.executed)
        notes = f"; a hand-over took {max(took):.2f} s at most; POST: {posted}"
        result = Result("proxy hands over", posted, kills, executed, notes)
        result.outcome = outcome
        return result


def storm(seconds: float, count: int = 1000) -> Result:
    """
    So many guests register at once, beside a client; then the proxy is SIGKILLed, and they
    come back by themselves.
    """
    raise_descriptor_limit()
    world = World()
    try:
        folder, admin = world.folder / "vms", world.folder / "admin"
        swarm = Swarm(folder, count)
        options = ("--access-log=none", f"--admin={admin}")
        world.start_proxy(*options, vsock=f"{folder}/*.sock")
        wait_until(swarm.listening, "listeners for all", 60)
        time.sleep(min(seconds, LAG_WINDOW))  # so that the lag of the start is forgotten
        before = metric(admin, "reactor_lag_seconds")
        began = time.monotonic()
        swarm.start()
        wait_until(lambda: swarm.registered == count, f"{count} guests", 60)
        registered = time.monotonic() - began
        outcome = Load(world.port, "g7.example", connections=4).run_for(1.0)
        lag = metric(admin, "reactor_lag_seconds")
        proxy = world.proxy
        assert proxy is not None
        proxy.signal(signal.SIGKILL)
        proxy.wait()
        wait_until(lambda: swarm.registered == 0, "guests to hear of it", 60)
        began = time.monotonic()
        world.proxy = world.start("proxy", proxy.command)
        wait_until(lambda: _serves(world.port), "the proxy to serve")
        accepting = time.monotonic() - began
        wait_until(lambda: swarm.registered == count, "guests to return", 60)
        back = time.monotonic() - began
        swarm.stop()
        return Result(
            f"{count} guests register at once",
            outcome,
            1,
            notes=f"; all registered after {registered:.2f} s, reactor lag {lag * 1e3:.0f} ms"
            f" (before: {before * 1e3:.0f} ms); proxy SIGKILLed: accepts after"
            f" {accepting:.2f} s, all back after {back:.2f} s",
        )
    finally:
        world.close()


def _accepts(port: int) -> bool:
    client = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        client.connect()
        return True
    except OSError:
        return False
    finally:
        client.close()


def _serves(port: int) -> bool:
    """
    Whether the proxy answers for itself.

    That it accepts does not tell: the kernel goes on with that for a moment after a SIGKILL, since
    an accept of io_uring holds the listening socket.
    """
    client = HTTPConnection("127.0.0.1", port, timeout=0.5)
    try:
        client.request("GET", "/", headers={"Host": "nobody.example"})
        return client.getresponse().status == 404
    except (OSError, HTTPException):
        return False
    finally:
        client.close()


def answers(port: int, host: str = "blog.example") -> bool:
    """Whether a guest, or a back end, answers for C{host} behind the proxy on that port."""
    client = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request("GET", "/0", headers={"Host": host})
        return client.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        client.close()


def peer(name: str, seconds: float, method: str) -> Result:
    """The same with another proxy, whose two back ends are killed in turn."""
    world = World()
    executed = world.folder / "executed"
    nursery = Nursery(executed, world.folder / "nursery.log")
    try:
        *backends, port = ports(3)
        pids = [nursery.backend(each) for each in backends]
        start_peer(world, name, port, *backends)
        wait_until(lambda: answers(port), f"{name} to answer")
        load = Load(port, method=method, connections=CONNECTIONS, keep=True)
        load.start()
        kills, end = 0, time.monotonic() + seconds
        while time.monotonic() < end - 0.5:
            time.sleep(1.0)
            worker = kills % 2
            # Unlike subproxy they can't hold a request until one is back: never kill both.
            wait_until(lambda: all(map(_accepts, backends)), "both back ends")
            nursery.kill(pids[worker])
            wait_until(lambda worker=worker: not alive(pids[worker]), "it to be gone")
            pids[worker] = nursery.backend(backends[worker])
            kills += 1
        time.sleep(1.0)
        return Result(
            f"{name}, {method}, back end SIGKILLed", load.stop(), kills, executed_in(executed)
        )
    finally:
        nursery.close()
        world.close()


SCENARIOS: dict[str, Callable[[float], Result]] = {
    "killed": lambda s: disturbed("GET, guest SIGKILLed", s, kill),
    "killed-post": lambda s: disturbed("POST, guest SIGKILLed", s, kill, method="POST"),
    "frozen": lambda s: disturbed("GET, guest frozen for 0.9 s", s, freeze, interval=2.0),
    "frozen-post": lambda s: disturbed(
        "POST, guest frozen for 0.9 s", s, freeze, method="POST", interval=2.0
    ),
    "drained": lambda s: disturbed("GET, guest told to stop", s, stop),
    "drained-post": lambda s: disturbed("POST, guest told to stop", s, stop, method="POST"),
    "rolled-post": lambda s: disturbed(
        "POST, all guests restarted in turn", s, roll, method="POST", interval=2.0
    ),
    "replaced": lambda s: disturbed("GET, guest replaced", s, replace),
    "replaced-post": lambda s: disturbed("POST, guest replaced", s, replace, method="POST"),
    "proxy-killed": proxy_killed,
    "handed-over": handed_over,
    "storm": storm,
}


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[1])
    parser.add_argument("scenario", nargs="*", choices=[[], *SCENARIOS])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--peers", action="store_true", help="nginx and HAProxy too")
    options = parser.parse_args()
    for name in options.scenario or SCENARIOS:
        print(SCENARIOS[name](options.seconds), flush=True)
    if options.peers:
        for name in ("nginx", "haproxy"):
            if not available(name):
                print(f"{name} is not installed")
                continue
            for method in ("GET", "POST"):
                print(peer(name, options.seconds, method), flush=True)


if __name__ == "__main__":
    main()
