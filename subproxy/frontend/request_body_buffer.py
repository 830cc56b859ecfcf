"""
A request body on its way from a client to a guest: what came, what is held, who waits for whom.

It starts paused: what came with the head is held until the guest wants it. While the guest
takes it, each read goes on as it came, without a copy. When the guest pauses, one more read
at most is held.
"""

from __future__ import annotations

from typing import Protocol

from subproxy.core.exchange import Exchange, Headers
from subproxy.frontend.deadlines import MinDataRate
from subproxy.frontend.interfaces import IClientStream
from subproxy.frontend.limits import HttpLimits

_SMALL = 4096
"""Pieces up to this are joined: one of its own costs more than they hold."""


class IBodyFraming(Protocol):
    """Where a body ends, as an HTTP version has it."""

    @property
    def complete(self) -> bool:
        """All of it was read."""

    @property
    def trailers(self) -> Headers:
        """Its trailers, when it is complete."""

    @property
    def left(self) -> int:
        """Bytes that are still to come; 0 where that is not known."""

    def skip(self, amount: int) -> None:
        """So many bytes, of at most C{left}, were read by somebody else."""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """
        Read C{data}.

        @return: body bytes, and what lies beyond the body.
        @raise subproxy.errors.ClientError: it is malformed or too large.
        """


class RequestBodyBuffer:
    """
    One request body that was not whole when its head was read.

    @param body: what knows where it ends.
    @param data: what came of it with the head.
    @ivar nominated: names of trailers that go no further.
    @ivar flows: the guest takes it.
    @ivar pace: how the client keeps up.
    """

    __slots__ = (
        "_body",
        "_held",
        "_moved",
        "_passed",
        "_quiet_since",
        "flows",
        "nominated",
        "pace",
    )

    def __init__(
        self,
        body: IBodyFraming,
        data: bytes,
        nominated: frozenset[bytes] = frozenset(),
    ) -> None:
        self._body = body
        self.nominated = nominated
        self._held = [data] if data else []
        self._moved = len(data)
        self._passed = -1  # of body and answer together, at the last look
        self._quiet_since = 0.0
        self.flows = False
        self.pace = MinDataRate()

    @property
    def complete(self) -> bool:
        """All of it was read."""
        return self._body.complete

    @property
    def trailers(self) -> Headers:
        """Its trailers, when it is complete."""
        return self._body.trailers

    @property
    def left(self) -> int:
        """Bytes that are still to come; 0 where that is not known."""
        return self._body.left

    def moved(self, amount: int) -> None:
        """So many bytes went from the client to the guest, not through our hands."""
        self._body.skip(amount)
        self._moved += amount

    def take(self, data: bytes) -> bytes:
        """
        Read C{data} from the client, and hold what of it is body.

        @return: what lies beyond the body.
        @raise ClientError: it is malformed or too large.
        """
        data, rest = self._body.feed(data)
        self._moved += len(data)
        held = self._held
        if held and len(held[-1]) + len(data) <= _SMALL:
            held[-1] += data
        elif data:
            held.append(data)
        return rest

    def held(self) -> bytes:
        """What is held, which is then held no more."""
        held, self._held = self._held, []
        return held[0] if len(held) == 1 else b"".join(held)

    def pass_on(self, exchange: Exchange) -> bool:
        """
        Give the guest what is held, if it takes it.

        @return: it has all of it, and waits for the end.
        """
        if self.flows and self._held:
            exchange.request_data(self.held())
        return self.flows and self._body.complete

    def is_late(self, now: float, stream: IClientStream, limits: HttpLimits) -> bool:
        """
        Whether the client has been waited for too long.

        Once its answer, C{stream}, has begun the two may be a conversation: it is over when it
        idles. Before that the slowest rate counts.
        """
        if stream.begun:
            return self.idles(now, stream.sent, limits.tunnel_idle)
        return self.too_slow(now, limits.body_grace, limits.body_rate)

    def too_slow(self, now: float, grace: float, rate: int) -> bool:
        """Whether the client is behind its slowest rate by more than C{grace} seconds."""
        return self.pace.exceeded(now, self._moved, grace, rate)

    def idles(self, now: float, sent: int, most: float) -> bool:
        """
        Whether nothing has passed for more than C{most} seconds, either way.

        @param sent: bytes of the answer that have gone.
        """
        passed = self._moved + sent
        if passed != self._passed:
            self._passed, self._quiet_since = passed, now
        return now - self._quiet_since > most
