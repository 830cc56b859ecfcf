"""How many calls of Python functions a proxy has made that L{tests.integration.called} runs."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.integration.harness import Process, wait_until


def calls_so_far(proxy: Process, called: Path) -> int:
    """Ask C{proxy}, which writes it to the file C{called}."""
    before = len(called.read_text().split()) if called.exists() else 0
    proxy.signal(signal.SIGRTMIN)

    def told() -> list[str]:
        return called.read_text().split()[before:] if called.exists() else []

    return int(wait_until(told, "calls")[0])
