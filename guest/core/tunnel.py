"""
A tunnel, as an application has it: bytes of a protocol that the proxy does not know, both ways.

Its two halves are the bodies of an exchange (docs/protocol.md, "Tunnels"). Imports no framework.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from guest.core.body_queue import BodyQueue
from guest.core.errors import RequestAborted
from guest.core.exchange import GuestExchange
from guest.core.request import Request
from guest.core.response import Fields, Response
from guest.core.runtime import Runtime, Timer

LINGER = 5.0
"""Seconds that a client has to end its half when the application has ended with the tunnel."""


class TunnelConnection(AsyncIterator[bytes]):
    """
    What a client and an application say to each other when they have left HTTP.

    C{async for piece in tunnel} gives what the client sends, as it comes: how it is cut means
    nothing. It ends when the client sends no more.

    @ivar request: what the client has asked.
    """

    __slots__ = ("_broken", "_ended", "_give_up", "_linger", "_outgoing", "_runtime", "closed",
                 "request")  # fmt: skip

    def __init__(
        self, runtime: Runtime, exchange: GuestExchange, give_up: Callable[[str], object]
    ) -> None:
        """
        Prepare for the tunnel of C{exchange}, which nobody has answered yet.

        @param give_up: ends the exchange, for a reason that a person understands.
        """
        self.request: Request = exchange.request
        self.closed: Callable[[RequestAborted], object] | None = None
        self._runtime = runtime
        self._give_up = give_up
        self._outgoing = BodyQueue(runtime)
        self._broken: RequestAborted | None = None  # why it is over
        self._ended = False
        self._linger: Timer | None = None
        exchange.closed = self._over

    def accepted(self, headers: Fields = (), *, bulk: bool = False) -> Response:
        """
        The response that begins it.

        @param bulk: much will pass: let it have a connection of its own from the start.
        """
        return Response(200, headers, self._outgoing, bulk=bulk)

    def _over(self, reason: RequestAborted) -> None:
        """The exchange is over, whatever was said."""
        timer, self._linger = self._linger, None
        if timer is not None:
            timer.cancel()
        self._broken = reason
        closed, self.closed = self.closed, None
        if closed is not None:
            closed(reason)

    # What an application calls.

    async def receive(self) -> bytes | None:
        """
        What the client sends next; None when it sends no more.

        @raise RequestAborted: the client is gone, or the proxy is.
        """
        return await self.request.body.next()

    async def __anext__(self) -> bytes:
        """See L{receive}."""
        piece = await self.receive()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def send(self, data: bytes) -> None:
        """
        Send C{data}; returns when there is room for the next.

        @raise RequestAborted: the client is gone, or the proxy is.
        @raise RuntimeError: our half has ended.
        """
        if self._ended:
            raise RuntimeError("this half of the tunnel has ended")
        if self._broken is not None or not await self._outgoing.put(data):
            raise self._broken or RequestAborted("answered", "nobody takes it any more")

    def end(self) -> None:
        """We send no more; the client may."""
        if not self._ended:
            self._ended = True
            self._outgoing.end()

    def fail(self, error: BaseException) -> None:
        """Break off: the client sees that this is no end."""
        self._ended = True
        self._outgoing.fail(error)

    def give_up(self, reason: str) -> None:
        """Break off, for a C{reason} that a person understands."""
        self._give_up(reason)

    def linger(self) -> None:
        """We send no more, and the client has a moment to end its half, too."""
        self.end()
        if self._linger is None and not self.request.body.complete and self._broken is None:
            self._linger = self._runtime.later(
                LINGER, self._give_up, "the client does not end the tunnel"
            )

    async def discard(self) -> None:
        """Read what the client still sends, and throw it away."""
        try:
            async for _ in self:
                pass
        except RequestAborted:
            pass


class Acceptance(ABC):
    """What a hook of an application returns to take a tunnel."""

    @abstractmethod
    def begin(
        self, runtime: Runtime, connection: TunnelConnection
    ) -> tuple[Response, Callable[[], Coroutine[Any, Any, None]]]:
        """
        Accept.

        @return: the response, and what is to run when that has been sent.
        @raise ValueError: the client did not ask for that.
        """


class TunnelAcceptance(Acceptance):
    """
    Takes a tunnel, and has it served by a coroutine function.

    When that returns, our half ends, and the client has L{LINGER} seconds to end its own. If it
    raises, the tunnel breaks.
    """

    def __init__(
        self,
        serve: Callable[[TunnelConnection], Awaitable[None]],
        headers: Fields = (),
        *,
        bulk: bool = False,
    ) -> None:
        """
        Take it.

        @param headers: of the response that changes the protocol.
        @param bulk: much will pass: let it have a connection of its own from the start, where the
            proxy has such.
        """
        self._serve = serve
        self._headers = headers
        self._bulk = bulk

    def begin(
        self, runtime: Runtime, connection: TunnelConnection
    ) -> tuple[Response, Callable[[], Coroutine[Any, Any, None]]]:
        """See L{Acceptance}."""

        async def run() -> None:
            try:
                await self._serve(connection)
            except (Exception, runtime.cancelled) as error:
                connection.fail(error)
                raise
            connection.linger()
            await connection.discard()

        return connection.accepted(self._headers, bulk=self._bulk), run
