"""asyncio's way to wait, by txaio's functions."""

from __future__ import annotations

import asyncio
from typing import Any

from txaio import aio

from guest.core.framework import Framework, FutureFunctions, framework_of


def asyncio_futures(loop: asyncio.AbstractEventLoop) -> FutureFunctions:
    """txaio's functions for the futures of one loop; its configuration stays as it is."""
    txaio: Any = aio
    functions: FutureFunctions = txaio.with_config(loop=loop)
    return functions


def asyncio_framework(loop: asyncio.AbstractEventLoop) -> Framework:
    """asyncio's way to wait."""
    return framework_of(asyncio_futures(loop), loop.call_soon)
