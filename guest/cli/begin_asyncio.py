"""What comes before anything is served on asyncio: the log, the proxy's address, the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from guest.asyncio.address import ProxyAddress, parse_address
from guest.asyncio.loop import loop_maker
from guest.asyncio.runner import begin_logging
from guest.cli.options import GuestOptions
from guest.core.statuses import complain


def begin_asyncio(
    asked: GuestOptions,
) -> tuple[ProxyAddress, Callable[[], asyncio.AbstractEventLoop]] | None:
    """
    Begin to log, and read where the proxy is and which event loop is asked for.

    @return: the address and what makes the loop; C{None}, and it is said on standard error, where
        one of them cannot be had.
    """
    begin_logging(asked.log_level)
    try:
        address = parse_address(asked.proxy)
    except ValueError as error:
        complain(f"--proxy={asked.proxy}: {error}")
        return None
    try:
        return address, loop_maker(asked.loop)
    except ValueError as error:
        complain(f"--loop={asked.loop}: {error}")
        return None
