"""
A thousand slow clients in each mode of slowhttptest, and what another client notices.

    python -m tests.integration.slow_peers [--seconds N] [--connections N] [MODE...]
"""

from __future__ import annotations

import argparse
import re
import subprocess
from dataclasses import dataclass

from .harness import World
from .load import Load, Outcome

RATE = 200.0
"""Requests a second of the client that is watched."""

MODES = {
    "headers": ("-H", "-i", "10"),
    "body": ("-B", "-i", "10", "-s", "8192"),
    "range": ("-R", "-a", "5", "-b", "3000"),
    "read": ("-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"),
}
"""Options of slowhttptest by what is slow."""

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
    """

    mode: str
    quiet: Outcome
    attacked: Outcome
    ended: int
    left: int

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
            f" ended in second {self.ended}, connections left: {self.left}"
        )


def attack(mode: str, seconds: float, connections: int, *options: str) -> Seen:
    """Attack for so many seconds, with a quiet time as long before it."""
    world = World()
    try:
        big = world.folder / "cid11.sock"
        proxy = world.start_proxy("--access-log=none", f"--vsock={big}", *options)
        apps = "tests.integration.apps"
        world.start_guest(f"{apps}:Named", "--host=blog\\.example")
        world.start_guest(f"{apps}:Endless", "--host=127\\.0\\.0\\.1", name="big", vsock=big)
        Load(world.port, connections=4, rate=RATE).run_for(1)
        quiet = Load(world.port, connections=4, rate=RATE).run_for(seconds)
        attacker = subprocess.Popen(
            [
                *("slowhttptest", *MODES[mode], "-c", str(connections), "-r", "200"),
                *("-l", str(round(seconds)), "-p", "5"),
                *("-u", f"http://127.0.0.1:{world.port}{TARGETS[mode]}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        attacked = Load(world.port, connections=4, rate=RATE).run_for(seconds)
        report = attacker.communicate(timeout=60)[0]
        assert "Traceback" not in proxy.output, proxy.output
        last = re.sub(r"\x1b\[[0-9;]*m", "", report)
        ended = re.findall(r"Test ended on (\d+)", last)
        over = "No open connections left" in last
        left = re.findall(r"(?:pending|connected):\s+(\d+)", last)[-2:]
        return Seen(mode, quiet, attacked, int(ended[0]), 0 if over else sum(map(int, left)))
    finally:
        world.close()


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[1])
    parser.add_argument("mode", nargs="*", choices=[[], *MODES])
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--connections", type=int, default=1000)
    options = parser.parse_args()
    for mode in options.mode or MODES:
        print(attack(mode, options.seconds, options.connections), flush=True)


if __name__ == "__main__":
    main()
