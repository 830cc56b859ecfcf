"""
Mixed load for a long time: does the memory of the proxy stay where it is?

    python -m tests.integration.soak --minutes 60

GET and POST, uploads, clients that hang up, a guest killed each ten seconds, a hostile guest.
Prints a line each half minute; exit status 1 if a request failed that should not, or if the
memory grew by more than a tenth after the first quarter.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import threading
import time

from .beside import Askers
from .harness import ROOT
from .hostile import ATTACKS
from .kill_loop import CONNECTIONS, executed_in, kill, metric, scene
from .load import Load
from .test_main_job import memory_of

STEP = 30.0
RATE = 300.0


class Leavers(threading.Thread):
    """Clients that hang up in the middle of a head, an upload, or an answer."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._ending = threading.Event()

    def run(self) -> None:
        """Come and go."""
        heads = (
            b"GET / HTTP/1.1\r\nHost: blog",
            b"POST / HTTP/1.1\r\nHost: blog.example\r\nContent-Length: 100000\r\n\r\nabc",
            b"GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n",
        )
        while not self._ending.wait(0.02):
            for head in heads:
                with socket.create_connection(("127.0.0.1", self._port), 5) as client:
                    client.sendall(head)

    def stop(self) -> None:
        """End."""
        self._ending.set()
        self.join(10)


def soak(minutes: float) -> int:
    """Run; the exit status."""
    admin = "admin"
    with scene("--admin=admin", "--vsock=hostile.sock") as there:
        folder = there.world.folder
        proxy = there.world.proxy
        assert proxy is not None
        attackers = list(ATTACKS)
        leavers = Leavers(there.port)
        askers = Askers(there.port, 2)
        get = Load(there.port, connections=CONNECTIONS // 2, rate=RATE)
        post = Load(there.port, method="POST", connections=CONNECTIONS // 2, rate=RATE, keep=True)
        for each in (leavers, get, post):
            each.start()
        began = time.monotonic()
        kills, memory = 0, []
        end, due = began + minutes * 60, began
        while time.monotonic() < end:
            kind = attackers[kills % len(attackers)]
            attack = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.hostile"]
                + [kind.__name__, str(folder / "hostile.sock")],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
            )
            time.sleep(10)
            attack.communicate(b"", 30)
            kill(there, kills % 2)
            kills += 1
            if time.monotonic() >= due:
                due += STEP
                memory.append(memory_of(proxy.child.pid))
                print(
                    f"{time.monotonic() - began:6.0f} s  RSS {memory[-1] / 1e6:.1f} MB  GET"
                    f" {get.outcome.total} ({get.outcome.failed} failed)  POST"
                    f" {post.outcome.total} ({post.outcome.failed} failed)  lag"
                    f" {metric(folder / admin, 'reactor_lag_seconds') * 1e3:.0f} ms",
                    flush=True,
                )
        leavers.stop()
        askers.stop()
        got, posted = get.stop(), post.stop()
        executed = executed_in(there.executed)
        twice = [number for number, count in executed.items() if count > 1]
        print(f"GET: {got}\nPOST: {posted}\n{kills} kills; {len(twice)} executed twice")
        settled = max(memory[len(memory) // 4 : len(memory) // 2 + 1])
        flat = max(memory[len(memory) // 2 :]) <= settled * 1.1
        print(f"RSS {memory[0] / 1e6:.1f}, {settled / 1e6:.1f}, {memory[-1] / 1e6:.1f} MB")
        explicit = all(status in (200, 502) for status in posted.statuses)
        right = not got.failed and not posted.broken and explicit and not twice
        return 0 if flat and right else 1


def main() -> None:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[1])
    parser.add_argument("--minutes", type=float, default=60.0)
    sys.exit(soak(parser.parse_args().minutes))


if __name__ == "__main__":
    main()
