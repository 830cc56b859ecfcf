"""
A plugin of coverage.py: a process that ends itself by a signal keeps what was measured of it.

twistd cleans up when it is told to stop, and then ends by the signal that told it so, for its
parent to see. Nothing that is registered to run at exit runs then.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from coverage import Coverage


def coverage_init(registry: Any, options: dict[str, str]) -> None:
    """Save before a deadly signal to oneself. Nothing is registered: no file is of our own kind."""
    kill = os.kill

    def save_and_kill(pid: int, number: int) -> None:
        measured = Coverage.current()
        if measured is not None and pid == os.getpid() and _is_deadly(number):
            measured.save()
        kill(pid, number)

    os.kill = save_and_kill


def _is_deadly(number: int) -> bool:
    return number == signal.SIGKILL or (
        number in (signal.SIGTERM, signal.SIGINT) and signal.getsignal(number) == signal.SIG_DFL
    )
