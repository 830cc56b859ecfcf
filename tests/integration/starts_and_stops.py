"""
Machines that are started and ended again and again, in every way, for an hour: nothing is left.

    python -m tests.integration.starts_and_stops [--minutes=60] [--image=FOLDER]

The machine is a process, or, with a folder that has C{kernel} and C{initrd}, one of QEMU without
KVM. After each round of all ways descriptors, processes, sockets, cgroups and files are compared
with those after the first. The exit status is 1 if there is more of anything.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration import admin_client
from tests.integration.harness import World, wait_until
from tests.integration.leftovers import Leftovers, descendants, leftovers, resident

GUEST = Path(__file__).parent / "machine_guest.py"
NAMES = ("blog", "short", "steady")
PATIENCE = 240.0
"""Seconds of a boot on a machine that has much else to do, and is stopped for others at times."""
HANDED_OVER = ("has taken over", "no new process came up")
EVERY = 0.2
"""Seconds between two looks: who asks all the time is most of what there is to do."""
SETTLED = 60.0
"""Seconds in which what has ended must be gone."""


def machine_lines(folder: Path, image: Path | None, name: str) -> str:
    """What is declared of one machine."""
    host = f"{name}\\.example"
    values: dict[str, object] = {
        "name": name,
        "hosts": f"{name}.example",
        "start-timeout": PATIENCE,
        "stop-timeout": PATIENCE,
    }
    if image is None:
        values["vmm"] = "process"
        quick = [sys.executable, str(GUEST), "{listener}", host, "0"]
        again = [sys.executable, "-m", "guest", "--proxy=unix:{listener}", f"--host={host}"]
        values["command"] = [*again, "hello:Hello"] if name == "steady" else quick
    else:
        values |= {"vmm": "qemu", "acceleration": "tcg", "memory": "192M"}
        values |= {"kernel": str(image / "kernel"), "initramfs": str(image / "initrd")}
        values["kernel-arguments"] = [f"subproxy.host={host}"]
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    if image is None:
        lines.append(f'environment = {{ MACHINE_GUEST = "{folder}" }}')
    return "\n".join(["[[machine]]", *lines, "idle = 1" if name == "short" else "idle = false", ""])


class StartsAndStops:
    """
    A proxy with three machines: C{blog}, which stays; C{short}, which is soon idle; and C{steady},
    whose guest dials again when its connection is gone.

    @ivar counts: how often each way was gone; those of them that did not answer 200, too.
    """

    def __init__(self, world: World, image: Path | None) -> None:
        self.world = world
        self.admin, self.machines = world.folder / "admin", world.folder / "run"
        self.counts: Counter[str] = Counter()
        self.more: dict[str, object] = {}
        path = world.folder / "c.toml"
        path.write_text("".join(machine_lines(world.folder, image, name) for name in NAMES))
        self.proxy = world.start_proxy(
            f"--config={path}",
            f"--machines-folder={self.machines}",
            f"--admin={self.admin}",
            "--access-log=none",
            deadline=PATIENCE,
        )
        self.proxy.wait_for("worker 0 serves", deadline=PATIENCE)
        self.ways: dict[str, Callable[[], None]] = {
            "stopped": self.stop,
            "killed": self.kill,
            "restarted": self.restart,
            "left": self.leave,
            "idle": self.idle,
            "handed over": self.hand_over,
            "given up": self.give_up,
        }

    def go(self, way: str) -> None:
        """Start one, and end it in this way."""
        self.ways[way]()
        self.counts[way] += 1

    def look(self) -> Leftovers:
        """All that there is now."""
        return leftovers(self.proxy.child.pid, self.world.folder, self.machines)

    def compare(self, before: Leftovers) -> bool:
        """Whether there is no more than before: C{more} has what is."""

        def same() -> bool:
            self.more = self.look().beyond(before)
            return not self.more

        try:
            wait_until(same, "it to settle", SETTLED, EVERY)
        except AssertionError:
            return False
        return True

    def ask(self, name: str = "blog") -> None:
        """A request that waits for the machine."""
        status, _, _ = self.world.ask(host=f"{name}.example", timeout=PATIENCE)
        if status != 200:
            self.counts[f"{name}: {status}"] += 1

    def row(self, name: str = "blog") -> dict[str, Any]:
        """What the API has of a machine."""
        while True:
            try:
                rows = admin_client.api(self.admin, "/api/machines")["machines"]
            except (OSError, ValueError):
                time.sleep(0.1)  # a hand-over, or all are stopped for somebody else's measurements
                continue
            return next(each for each in rows if each["name"] == name)

    def tell(self, what: str, name: str = "blog") -> None:
        """Tell a machine something, as C{subproxy machines} does."""
        admin_client.api(self.admin, f"/api/machines/{name}/{what}", "POST")

    def pid(self, name: str = "blog") -> int | None:
        """The process that a machine is, if it runs."""
        found: int | None = self.row(name)["instances"][0]["pid"]
        return found

    def end_it(self) -> None:
        """Kill its process."""
        pid = self.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def until(self, *states: str, name: str = "blog") -> None:
        """Wait until it is in one of these states."""
        wait_until(
            lambda: self.row(name)["state"] in states, f"{name} is {states}", PATIENCE, EVERY
        )

    def stop(self) -> None:
        """By an operator, while it is up."""
        self.ask()
        self.tell("stop")
        self.until("cold")

    def kill(self) -> None:
        """Its process is killed; an operator's start forgets that, and tries at once."""
        self.ask()
        self.end_it()
        # It has failed, unless it was up for long.
        self.until("failed", "cold")
        self.tell("start")
        self.stop()

    def restart(self) -> None:
        """One is started behind it."""
        self.ask()
        pid = self.pid()
        self.tell("restart")
        wait_until(lambda: self.pid() not in (pid, None), "another one", PATIENCE, EVERY)
        self.stop()

    def leave(self) -> None:
        """Who has asked leaves before it is up."""
        with socket.create_connection(("127.0.0.1", self.world.port), PATIENCE) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n")
            wait_until(lambda: self.row()["state"] != "cold", "its start", PATIENCE, EVERY)
        self.stop()

    def idle(self) -> None:
        """Nobody asks any more."""
        self.ask("short")
        self.until("cold", name="short")

    def give_up(self) -> None:
        """An operator stops it while it starts."""
        self.tell("start")
        self.tell("stop")
        self.until("cold")

    def hand_over(self) -> None:
        """The proxy executes itself anew while it is up; on a busy host it may find no time to."""
        self.ask("steady")
        pid, since = self.pid("steady"), self.proxy.log.stat().st_size

        def told() -> str:
            with self.proxy.log.open(errors="replace") as log:
                log.seek(since)
                text = log.read()
                return next((each for each in HANDED_OVER if each in text), "")

        self.proxy.signal(signal.SIGUSR2)
        if wait_until(told, "a hand-over", PATIENCE, EVERY) != HANDED_OVER[0]:
            self.counts["hand-overs that had no time"] += 1
        self.ask("steady")
        if self.pid("steady") != pid:
            self.counts["another one after a hand-over"] += 1
        self.tell("stop", "steady")
        self.until("cold", name="steady")


def run(minutes: float, image: Path | None, pause: float) -> int:
    """Go on for so many minutes; the exit status."""
    world = World()
    try:
        there = StartsAndStops(world, image)
        began, first, left, told = time.monotonic(), None, {}, -60.0
        while (now := time.monotonic() - began) < minutes * 60 or first is None:
            for way in there.ways:
                there.go(way)
                time.sleep(pause)
            if first is None:
                first = there.look()
            elif not there.compare(first):
                left = there.more
                print(f"left: {json.dumps(left)}", flush=True)
            if now - told >= 60 or left:
                told = now
                memory = [resident(pid) for pid in descendants(there.proxy.child.pid)]
                print(
                    f"{now:6.0f} s  {dict(there.counts)}, MB "
                    f"{', '.join(f'{each:.1f}' for each in memory)}",
                    flush=True,
                )
            if left:
                return 1
        starts = sum(there.row(name)["starts"]["registered"] for name in NAMES)
        print(f"{starts} starts since the last hand-over; {dict(there.counts)}; nothing left")
        return 0
    finally:
        world.close()


def main() -> None:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds behind each")
    options = parser.parse_args()
    image = options.image.resolve() if options.image else None
    sys.exit(run(options.minutes, image, options.pause))


if __name__ == "__main__":
    main()
