"""
The wall clock of a machine that goes on from a snapshot: it stands where it was, days ago perhaps.

Its hardware clock (RTC) is the host's, as at boot, when the kernel sets its own by that.
Firecracker has none, and sets the wall clock itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

RTC: Final = "/sys/class/rtc/rtc0/since_epoch"
"""Whole seconds."""

OFF: Final = 2.0
"""Seconds that the clocks may differ by: who keeps one right is not disturbed."""


def correct(rtc: str = RTC, settime: Callable[[int, float], None] = time.clock_settime) -> bool:
    """Set the wall clock by the hardware's, if it is off; whether it was. Only root may."""
    try:
        with open(rtc, encoding="ascii") as file:
            now = int(file.read()) + 0.5
        if abs(now - time.time()) <= OFF:
            return False
        settime(time.CLOCK_REALTIME, now)
    except (OSError, ValueError):
        return False
    return True
