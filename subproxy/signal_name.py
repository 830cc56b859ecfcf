"""What a signal is called, for a person."""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """C{SIGKILL}; by its number where it has no name, as most signals of real time have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
