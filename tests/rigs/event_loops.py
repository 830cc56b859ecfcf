"""The event loops of asyncio that are here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

RUNNERS: list[Callable[..., Any]] = [asyncio.run]
"""What runs a coroutine in a new one of each kind."""

try:
    import uvloop
except ImportError:
    pass
else:
    RUNNERS.append(uvloop.run)
