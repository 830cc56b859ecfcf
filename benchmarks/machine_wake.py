"""
What a start of a machine costs, by its parts; and what many starts and stops leave behind.

    python -m benchmarks.machine_wake [--seconds=30] [--image=FOLDER [--snapshot]]

A machine is asked for, answers, and is stopped, again and again, for so many seconds. It is a
process, or, with a folder that has C{kernel} and C{initrd}, a virtual machine of QEMU without KVM;
with a snapshot each start goes on from that.
The parts are those of C{subproxy machines}, and C{whole} is from the request to its answer. The
manager's own are C{decide} and C{first_byte}, and of a process C{spawn}, in which nobody else does
anything. Then descriptors, processes and files of
the proxy are compared with those after the first start.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from tests.integration import admin_client
from tests.integration.harness import World, wait_until

GUEST = Path(__file__).parent.parent / "tests" / "integration" / "machine_guest.py"
QUICK = "idle = false\nhosts = 'blog.example'\nname = 'blog'\nstart-timeout = 120\n"


def configuration(folder: Path, image: str, *, snapshot: bool) -> str:
    """The file of one machine."""
    if not image:
        command = [sys.executable, str(GUEST), "{listener}", "blog\\.example", "0"]
        environment = f'environment = {{ MACHINE_GUEST = "{folder}" }}\n'
        more = f"vmm = 'process'\ncommand = {json.dumps(command)}\n{environment}"
    else:
        more = (
            f"vmm = 'qemu'\nacceleration = 'tcg'\nmemory = '192M'\nkernel = '{image}/kernel'\n"
            f"snapshot = {str(snapshot).lower()}\n"
            f"initramfs = '{image}/initrd'\nkernel-arguments = ['subproxy.host=blog\\.example']\n"
        )
    return f"[[machine]]\n{QUICK}{more}"


class Left:
    """What the processes of a proxy have open, and what is in the folder of its machines."""

    def __init__(self, parent: int, folder: Path) -> None:
        parents = {int(each.name): _parent(each) for each in Path("/proc").glob("[0-9]*")}
        found = [parent]
        for pid in found:
            found += sorted(each for each, of in parents.items() if of == pid)
        self.descriptors = [len(os.listdir(f"/proc/{each}/fd")) for each in found]
        self.files = sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))

    def __str__(self) -> str:
        return f"descriptors of {len(self.descriptors)} processes: {self.descriptors}; {self.files}"


def _parent(folder: Path) -> int:
    try:
        return int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--image", default="")
    parser.add_argument("--snapshot", action="store_true")
    options = parser.parse_args()
    world = World()
    try:
        measure(world, options.seconds, options.image, snapshot=options.snapshot)
    finally:
        world.close()


def measure(world: World, seconds: float, image: str, *, snapshot: bool) -> None:
    """Start and stop for so long, and print what came of it."""
    path, admin, run = world.folder / "c.toml", world.folder / "admin", world.folder / "run"
    path.write_text(
        configuration(world.folder, os.path.abspath(image) if image else "", snapshot=snapshot)
    )
    proxy = world.start_proxy(
        f"--config={path}", f"--machines-folder={run}", f"--admin={admin}", "--access-log=none"
    )
    proxy.wait_for("worker 0 serves")

    def machine() -> Any:
        while True:
            try:
                [found] = admin_client.api(admin, "/api/machines")["machines"]
            except TimeoutError:
                continue  # a long one is stopped for measurements beside it
            return found

    if snapshot:
        admin_client.api(admin, "/api/machines/blog/snapshot", "POST")
        wait_until(lambda: machine()["state"] == "cold" and machine()["snapshot"]["bytes"], "it")
    parts: dict[str, list[float]] = {}
    first: Left | None = None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        asked = time.monotonic()
        status, _, _ = world.ask(timeout=120)
        assert status < 502, status
        parts.setdefault("whole", []).append(time.monotonic() - asked)
        wait_until(lambda: machine()["instances"][0]["start_split"]["first_byte"] is not None, "it")
        for part, took in machine()["instances"][0]["start_split"].items():
            if took is not None:
                parts.setdefault(part, []).append(took)
        admin_client.api(admin, "/api/machines/blog/stop", "POST")
        wait_until(lambda: machine()["state"] == "cold", "its end")
        if first is None:
            first = Left(proxy.child.pid, run)
    print(f"{machine()['starts']}")
    for part, times in parts.items():
        ordered = sorted(times)
        print(
            f"{part:12} median {statistics.median(times) * 1000:8.1f} ms, "
            f"greatest {ordered[-1] * 1000:8.1f} ms"
        )
    print(f"left after the first: {first}")
    print(f"left after the last:  {Left(proxy.child.pid, run)}")


if __name__ == "__main__":
    main()
