"""What the figures were measured on."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .build import ROOT


def processor() -> str:
    """The name of the processor as the kernel tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def revision() -> str:
    """The commit that was measured, with a plus if the tree had changes; empty outside git."""
    try:
        command = ["git", "describe", "--always", "--dirty=+", "--abbrev=12"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")
COMMON = "cubic"


@contextlib.contextmanager
def common_congestion_control() -> Iterator[str]:
    """TCP by the kernel's own default, as long as it lasts, where that may be set: what it is now.

    A machine may have BBR, which sends by timers of its own, whatever proxy there is: over the
    loopback of a virtual machine an upload then costs two to three times as much.
    """
    before = CONGESTION.read_text().strip()
    try:
        CONGESTION.write_text(COMMON)
    except OSError:
        yield before
        return
    try:
        yield COMMON
    finally:
        CONGESTION.write_text(before)


def describe() -> dict[str, str | float]:
    """Facts about this machine and this moment."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "kernel": platform.release(),
        "processor": processor(),
        "cores": float(os.cpu_count() or 0),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "revision": revision(),
    }
