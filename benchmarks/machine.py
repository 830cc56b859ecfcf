"""What the figures were measured on."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import signal
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
SHARED_PAGES = Path("/sys/kernel/mm/transparent_hugepage/shmem_enabled")


@contextlib.contextmanager
def setting(path: Path, value: str) -> Iterator[str]:
    """A setting of the kernel, as long as it lasts, where it may be set: what it is now.

    Of a choice, which the kernel shows with the chosen one in brackets, that one is meant.
    """
    try:
        text = path.read_text().strip()
    except OSError:
        yield ""
        return
    before = text.partition("[")[2].partition("]")[0] or text
    try:
        path.write_text(value)
    except OSError:
        yield before
        return
    ending = signal.signal(signal.SIGTERM, _end)
    try:
        yield value
    finally:
        path.write_text(before)
        signal.signal(signal.SIGTERM, ending)


def _end(number: int, frame: object) -> None:
    """Python ends by SIGTERM without a word: what is set is to be set back."""
    raise SystemExit(128 + number)


def common_congestion_control() -> contextlib.AbstractContextManager[str]:
    """TCP by the kernel's own default, as long as it lasts.

    A machine may have BBR, which sends by timers of its own, whatever proxy there is: over the
    loopback of a virtual machine an upload then costs two to three times as much.
    """
    return setting(CONGESTION, COMMON)


def large_pages() -> contextlib.AbstractContextManager[str]:
    """Large pages for what bodies are sent from: see C{native/memory.h}."""
    return setting(SHARED_PAGES, "advise")


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
