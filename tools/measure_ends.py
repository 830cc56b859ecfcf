"""
A plugin of coverage.py: a process that ends without returning keeps what was measured of it.

twistd cleans up when it is told to stop, and then ends by the signal that told it so, for its
parent to see. The first process of a machine syncs the disks, and switches the machine off.
Nothing that is registered to run at exit runs then.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from coverage import Coverage


def coverage_init(registry: Any, options: dict[str, str]) -> None:
    """Save at what comes last. Nothing is registered: no file is of our own kind."""
    kill, sync = os.kill, os.sync

    def save() -> None:
        measured = Coverage.current()
        if measured is not None:
            measured.save()

    def save_and_kill(pid: int, number: int) -> None:
        if pid == os.getpid() and _is_deadly(number):
            save()
        kill(pid, number)

    def save_and_sync() -> None:
        save()
        sync()

    os.kill, os.sync = save_and_kill, save_and_sync


def _is_deadly(number: int) -> bool:
    return number == signal.SIGKILL or (
        number in (signal.SIGTERM, signal.SIGINT) and signal.getsignal(number) == signal.SIG_DFL
    )
