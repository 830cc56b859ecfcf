"""What the fallback needs of the compiled side of a connection."""

from __future__ import annotations

from typing import Any, Protocol

from subproxy.core.balancing.member import Member
from subproxy.core.http.forwarded import Peer
from subproxy.fastpath._channel import FastChannel
from subproxy.fastpath._pending import PendingRequest
from subproxy.frontend.factory import Http1Factory


class FallsBack(Protocol):
    """
    A L{FastConnection}, of which all that it knows of its connection is taken.

    @ivar deadline: when it is looked at next; C{due}: when its state is over. Monotonic seconds.
    @ivar requests: how many there were, the one under way included.
    @ivar rest: what has come behind the request under way.
    @ivar frame: the request as it was sent to the guest.
    """

    factory: Http1Factory
    transport: Any
    deadline: float
    due: float
    requests: int
    writable: bool
    paused: bool
    rest: bytes | None
    asked: PendingRequest
    channel: FastChannel
    started: float
    peer: Peer | None
    member: Member
    frame: bytes

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""

    def abort(self) -> None:
        """Close at once, with a reset."""

    def close_if_idle(self) -> None:
        """Close, if no request is under way."""

    def deadline_passed(self, now: float) -> None:
        """C{deadline} has passed."""

    def take_back(self, requests: int, due: float, deadline: float) -> None:
        """Serve the connection again, which is at rest."""
