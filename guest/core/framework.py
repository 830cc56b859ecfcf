"""
How a framework waits: the three functions that requests and responses need of one.

The core (requests, responses, exchanges) is written as coroutines that await nothing
but futures made here, so the same code runs under Twisted, asyncio, or whatever
else can await. The shells take them of txaio; the core imports neither.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from subproxy.wire.values import value_class


class FutureFunctions(Protocol):
    """
    The functions of txaio that are taken: C{txaio.tx}, or C{txaio.aio.with_config(loop=...)}.
    """

    @property
    def create_future(self) -> Callable[[], Any]:
        """Makes a future."""

    @property
    def resolve(self) -> Callable[[Any, Any], object]:
        """Gives a future its result; it may have none yet."""

    @property
    def reject(self) -> Callable[[Any, Exception], object]:
        """Gives a future an error; it may have no result yet."""

    @property
    def is_called(self) -> Callable[[Any], bool]:
        """Whether a future has a result, or an error, or was cancelled."""


@value_class
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


def resolver(functions: FutureFunctions) -> Callable[[Any, object], None]:
    """L{Framework.resolve}, of txaio's C{resolve}, which wants a future that still waits."""
    resolve, is_called = functions.resolve, functions.is_called

    def resolve_if_waiting(future: Any, value: object) -> None:
        if not is_called(future):
            resolve(future, value)

    return resolve_if_waiting


def framework_of(
    functions: FutureFunctions, soon: Callable[[Callable[[], None]], object]
) -> Framework:
    """
    A way to wait, of txaio's functions.

    @param soon: L{Framework.soon}, which txaio has not.
    """
    return Framework(functions.create_future, resolver(functions), soon)
