"""
How a framework waits: the three functions that requests and responses need of one.

The core (requests, responses, exchanges) is written as coroutines that await nothing
but futures made here, so the same code runs under Twisted, asyncio, or whatever
else can await. C{txaio.create_future} and C{txaio.resolve} fit as they are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


@dataclass(frozen=True, slots=True)
class Framework:
    """
    A way to wait.

    @ivar future: makes something that a coroutine can await.
    @ivar resolve: gives a future its result; does nothing to one that was cancelled.
    @ivar soon: calls a function in another turn of the event loop, after pending I/O.
    """

    future: Callable[[], Awaitable[Any]]
    resolve: Callable[[Any, object], object]
    soon: Callable[[Callable[[], None]], object]


def asyncio_framework(loop: asyncio.AbstractEventLoop) -> Framework:
    """asyncio's way to wait."""

    def resolve(future: asyncio.Future[Any], value: object) -> None:
        if not future.done():
            future.set_result(value)

    return Framework(loop.create_future, resolve, loop.call_soon)
