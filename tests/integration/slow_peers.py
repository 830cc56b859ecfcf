"""
A thousand slow clients in each mode of slowhttptest, and what another client notices.

    python -m tests.integration.slow_peers [--seconds N] [--connections N] [--apart] [MODE...]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.integration.harness import World
from tests.integration.load import Load, Outcome

RATE = 200.0
"""Requests a second of the client that is watched."""

MODES = {
    "headers": ("-H", "-i", "10"),
    "body": ("-B", "-i", "10", "-s", "8192"),
    "range": ("-R", "-a", "5", "-b", "3000"),
    "read": ("-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"),
}
"""Options of slowhttptest by what is slow."""

APART = {min(os.sched_getaffinity(0))}, {max(os.sched_getaffinity(0))}
"""Cores for the proxy, and for all others, of whom the attacker and the guest that it asks have the
lowest priority: elsewhere they are other computers, and a machine with other cores."""

TARGETS = {"headers": "/10", "body": "/10", "range": "/10", "read": "/4000000"}
"""The path that is asked for: that many bytes."""


@dataclass
class Seen:
    """
    What was seen.

    @ivar quiet: the other client before the attack.
    @ivar attacked: the same during it.
    @ivar ended: the second in which the attack ended: all cut, or its time over.
    @ivar left: connections that the attacker has open: one that reads a few bytes each 5 seconds
        learns of a reset only when it has read all that came before it.
    @ivar cpu: seconds of CPU time that each took meanwhile.
    """

    mode: str
    quiet: Outcome
    attacked: Outcome
    ended: int
    left: int
    cpu: dict[str, float]

    @property
    def ratio(self) -> float:
        """The p99 during the attack over the p99 before it."""
        return self.attacked.percentile(0.99) / self.quiet.percentile(0.99)

    def __str__(self) -> str:
        return (
            f"{self.mode}: {self.attacked.total} requests, {self.attacked.failed} failed,"
            f" p50 {self.attacked.percentile(0.5) * 1e3:.2f} ms"
            f" (quiet {self.quiet.percentile(0.5) * 1e3:.2f}),"
            f" p99 {self.attacked.percentile(0.99) * 1e3:.2f} ms"
            f" (quiet {self.quiet.percentile(0.99) * 1e3:.2f}), ratio {self.ratio:.2f};"
            f" ended in second {self.ended}, connections left: {self.left}; CPU s: "
            + ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.cpu.items())
        )


def cpu_of(pid: int) -> float:
    """Seconds of CPU time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def attack(
    mode: str, target: str, seconds: float, connections: int, apart: bool, *options: str
) -> Seen:
    """
    Attack for so many seconds, with a quiet time as long before it.

    @param target: the path that the attacker asks for: how many bytes.
    @param apart: the proxy has a core for itself; see L{APART}.
    """
    world = World()
    try:
        big = world.folder / "cid11.sock"
        proxy = world.start_proxy("--access-log=none", f"--vsock={big}", *options)
        if apart:
            os.sched_setaffinity(proxy.child.pid, APART[0])
            os.sched_setaffinity(0, APART[1])
        apps = "tests.integration.apps"
        world.start_guest(f"{apps}:Named", "--host=blog\\.example")
        asked = world.start_guest(
            f"{apps}:Endless", "--host=127\\.0\\.0\\.1", name="big", vsock=big
        )
        Load(world.port, connections=4, rate=RATE).run_for(1)
        quiet = Load(world.port, connections=4, rate=RATE).run_for(seconds)
        attacker = subprocess.Popen(
            [
                *("slowhttptest", *MODES[mode], "-c", str(connections), "-r", "200"),
                *("-l", str(round(seconds)), "-p", "5"),
                *("-u", f"http://127.0.0.1:{world.port}{target}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        if apart:
            for pid in (attacker.pid, asked.child.pid):
                os.setpriority(os.PRIO_PROCESS, pid, 19)
        pids = {
            "proxy": proxy.child.pid,
            "guest that is asked": asked.child.pid,
            "attacker": attacker.pid,
        }
        before = {name: cpu_of(pid) for name, pid in pids.items()}
        attacked = Load(world.port, connections=4, rate=RATE).run_for(seconds)
        cpu = {name: cpu_of(pid) - before[name] for name, pid in pids.items()}
        report = attacker.communicate(timeout=60)[0]
        assert "Traceback" not in proxy.output, proxy.output
        last = re.sub(r"\x1b\[[0-9;]*m", "", report)
        ended = re.findall(r"Test ended on (\d+)", last)
        over = "No open connections left" in last
        left = re.findall(r"(?:pending|connected):\s+(\d+)", last)[-2:]
        open_still = 0 if over else sum(map(int, left))
        return Seen(f"{mode} {target}", quiet, attacked, int(ended[0]), open_still, cpu)
    finally:
        os.sched_setaffinity(0, APART[0] | APART[1])
        world.close()


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[1])
    parser.add_argument("mode", nargs="*", choices=[[], *MODES])
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--apart", action="store_true", help="the proxy on a core of its own")
    parser.add_argument("--target", help="another path to ask for: a number of bytes")
    options = parser.parse_args()
    for mode in options.mode or MODES:
        target = options.target or TARGETS[mode]
        print(attack(mode, target, options.seconds, options.connections, options.apart), flush=True)


if __name__ == "__main__":
    main()
