"""One connection to the proxy, on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from guest.core.errors import RegistrationRefused, RequestAborted
from guest.core.exchanges import ExchangeAdapter
from guest.core.process_share import ProcessShare
from guest.core.profile import SubscriberProfile
from guest.core.request import Request
from guest.core.response import Response
from guest.core.route import Route
from guest.core.runtime import Runtime
from guest.core.subscription import GuestSubscription
from guest.core.welcome import Welcome

Answer = Callable[[Request], Response | Awaitable[Response]]
"""
An application: the response to a request, or an awaitable of one. If nobody waits for the
response any more, what is awaited is cancelled.
"""


class ConnectionEnded(Exception):
    """The proxy, or what is between, has closed the connection."""


_MOST_HELD = 65_536
"""Bytes that wait for the end of a turn at most: the transport's own limits are to be felt."""


class SubscriberEvents(Protocol):
    """Who hears what becomes of a subscription."""

    def registered(self, route: Route) -> None:
        """Requests for that route may come from now on."""

    def refused(self, refusal: RegistrationRefused) -> None:
        """The proxy does not give us that route."""


class AsyncioConnection(asyncio.Protocol):
    """
    One subscription.

    @ivar subscription: its core; None before it is made.
    @ivar lost: a future: None when the connection is gone.
    @ivar welcome: what the proxy said when it took us; None before that.
    """

    tunnel: Callable[[Request], Any] | None = None

    def __init__(
        self,
        runtime: Runtime,
        profile: SubscriberProfile,
        answer: Answer | ExchangeAdapter,
        events: SubscriberEvents,
        subscribed: Callable[[AsyncioConnection], None],
        share: ProcessShare | None = None,
    ) -> None:
        """
        Prepare.

        @param answer: the application.
        @param subscribed: is told when the proxy has taken us.
        @param share: what it is of its instance, where a proxy has several processes.
        """
        self.share = share or ProcessShare()
        self.welcome: Welcome | None = None
        self._runtime = runtime
        self._profile = profile
        self._events = events
        self._subscribed = subscribed
        self.answer: Any = answer
        self.lost: Any = runtime.future()
        self._leaving: Any = runtime.future()
        self._transport: Any = None
        self.subscription: GuestSubscription

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See C{asyncio.BaseProtocol}."""
        self._transport = transport
        # Those of asyncio: where uvloop has set none, it resumes at 16 bytes.
        self._transport.set_write_buffer_limits()
        self._stream = _AsyncioStream(transport, self._runtime.soon)
        self.subscription = GuestSubscription(
            self._runtime, self._profile, self._stream, self, self.share
        )
        self.subscription.begin()
        # At once: where the dial is cancelled in this turn, uvloop takes nothing in the next.
        self._stream.send()

    def data_received(self, data: bytes) -> None:
        """See C{asyncio.Protocol}."""
        stream = self._stream
        stream.held = True
        try:
            self.subscription.data_received(data)
        finally:
            stream.held = False
            stream.send()

    def connection_lost(self, exc: Exception | None) -> None:
        """See C{asyncio.BaseProtocol}."""
        reason = exc or ConnectionEnded("the connection was closed")
        self.leaving(self.subscription.connection_lost(reason))
        self._runtime.resolve(self.lost, None)

    def pause_writing(self) -> None:
        """See C{asyncio.BaseProtocol}."""
        self.subscription.writable(False)

    def resume_writing(self) -> None:
        """See C{asyncio.BaseProtocol}."""
        self.subscription.writable(True)

    # What the core tells (guest.core.shell.SubscriptionListener).

    def subscribed(self, welcome: Welcome) -> None:
        """The proxy has taken us."""
        self.welcome = welcome
        self._subscribed(self)

    def registered(self, route: Route) -> None:
        """Requests for that route may come from now on."""
        self.subscription.hook(self._events.registered, route)

    def refused(self, refusal: RegistrationRefused) -> None:
        """The proxy does not give us that route."""
        self.subscription.hook(self._events.refused, refusal)

    def aborted(self, request: Request, reason: RequestAborted) -> None:
        """Nobody waits any more: what is awaited is cancelled, and that is all."""

    def leaving(self, reason: Exception | None) -> None:
        """No new requests will come."""
        self._runtime.resolve(self._leaving, reason)

    # What its subscriber wants.

    def abort(self) -> None:
        """Drop the connection at once."""
        self._transport.abort()

    async def when_leaving(self) -> Exception | None:
        """Wait until no new requests will come: None if the proxy drains; otherwise, why."""
        reason: Exception | None = await asyncio.shield(self._leaving)
        return reason


class _AsyncioStream:
    """
    A transport (L{guest.core.shell.ByteStream}).

    What is written in one turn of the event loop goes out at its end, in one piece: many responses
    may become complete in one turn, each of them by itself.

    @ivar held: somebody calls L{send} behind what goes on now.
    """

    __slots__ = ("_pieces", "_size", "_soon", "_transport", "abort", "held")

    def __init__(self, transport: Any, soon: Callable[[Callable[[], None]], object]) -> None:
        self._transport = transport
        self._soon = soon
        self._pieces: list[bytes] = []
        self._size = 0
        self.held = False
        self.abort = transport.abort

    def write(self, data: bytes) -> None:
        if not self._pieces and not self.held:
            self._soon(self.send)
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _MOST_HELD:
            self.send()

    def send(self) -> None:
        pieces = self._pieces
        if pieces:
            self._pieces, self._size = [], 0
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def close(self) -> None:
        self.send()
        self._transport.close()

    def pause(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()
