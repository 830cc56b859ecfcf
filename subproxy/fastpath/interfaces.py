"""What the fallback needs of the compiled side of a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from twisted.internet.interfaces import IProtocol

from subproxy.core.balancing.member import Member
from subproxy.core.http.forwarded import Peer
from subproxy.fastpath._channel import FastChannel
from subproxy.fastpath._pending import PendingRequest
from subproxy.fastpath.tunnel_numbers import TunnelNumbers
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.http2.counts import IHttp2Counts
from subproxy.relay.flow import Flow
from subproxy.relay.pipes import Pipe
from subproxy.subscription.bodies.data_connection import DataConnection
from subproxy.subscription.bodies.response_transfer import ResponseTransfer
from subproxy.subscription.bodies.transfer import RequestTransfer


class StreamedDownload(Protocol):
    """
    A L{FastDownload}, in the middle of whatever it is.

    @ivar head: the frame of the answer, without its length.
    @ivar expected: its token went with the request, and its head has not come: nothing of what
        follows means anything then.
    @ivar length: bytes of the body; so many were C{moved} to the client.
    @ivar first_byte: when the head was written, in monotonic seconds.
    @ivar stays: the client was told that the connection stays.
    @ivar acknowledged: bytes that it had taken before the head, if that is known.
    @ivar ended: the guest has said that all has been sent.
    """

    head: bytes
    expected: bool
    length: int
    moved: int
    first_byte: float
    stays: bool
    acknowledged: int | None
    ended: bool

    def part(self) -> tuple[DataConnection | None, Flow | None, Pipe | None]:
        """Give up what carries the body: its data connection, its flow and that one's pipe."""

    def given_to(self, transfer: ResponseTransfer) -> None:
        """C{transfer} goes on with it."""


class StreamedUpload(Protocol):
    """
    A L{FastUpload}, in the middle of whatever it is.

    @ivar length: bytes of the body; so many were C{moved} to the guest, the flow's left out.
    @ivar came: what came of it and was not passed on.
    """

    length: int
    moved: int
    came: bytes

    def part(self) -> tuple[DataConnection | None, Flow | None, Pipe | None]:
        """Give up what carries the body: its data connection, its flow and that one's pipe."""

    def given_to(self, transfer: RequestTransfer) -> None:
        """C{transfer} goes on with it."""

    def awaited_by(self, protocol: IProtocol) -> None:
        """What is still to come when nothing is read any more, C{protocol} is to be given."""


class FallsBack(Protocol):
    """
    A L{FastConnection}, of which all that it knows of its connection is taken.

    @ivar deadline: when it is looked at next; C{due}: when its state is over. Monotonic seconds.
    @ivar requests: how many there were, the one under way included.
    @ivar rest: what has come behind the request under way.
    @ivar download: the body of the answer under way, if that goes over a data connection.
    @ivar upload: the body of the request under way, likewise.
    @ivar tunnel: what the connection has become, if it is a tunnel.
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
    given: float
    peer: Peer | None
    member: Member
    download: StreamedDownload | None
    upload: StreamedUpload
    tunnel: TunnelNumbers
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


class FallsBackAlone(Protocol):
    """
    A L{FastHttp2Stream}, of which all that it knows is taken; its connection stays.

    @ivar number: that of the stream.
    @ivar room: bytes by which the client has opened its window since it began.
    @ivar frame: the request as it was sent to the guest.
    """

    number: int
    room: int
    asked: PendingRequest
    channel: FastChannel
    started: float
    given: float
    member: Member
    frame: bytes


class GatheredBody(Protocol):
    """
    A L{FastHttp2Stream} whose request is not whole, or is not plain as a whole.

    @ivar text: the head of the request, as HTTP/1.1 has it.
    @ivar body: what came of its body.
    @ivar whole: that is all of it.
    """

    number: int
    room: int
    started: float
    given: float
    text: bytes
    body: bytes
    whole: bool


class FrontOfHttp2(Protocol):
    """
    A L{FastHttp2Connection}, as what is behind it sees it.

    @ivar counts: the numbers of the connection.
    @ivar writable: the client takes what is written.
    """

    factory: Http1Factory
    counts: IHttp2Counts
    writable: bool

    @property
    def waiting(self) -> int:
        """How many requests are under way there."""

    def put(self, pieces: Sequence[bytes]) -> None:
        """Write C{pieces} at the end of the turn."""

    def call_turn_end(self) -> None:
        """Tell when the turn of the reactor ends."""

    def flush_now(self) -> None:
        """Write what was gathered."""

    def look(self, now: float) -> bool:
        """Move what waits for too long; whether anything was asked since this was called."""

    def give_up_all(self) -> None:
        """Move all requests."""

    def go_on(self) -> None:
        """Deal with what was left of what came."""

    def lost(self) -> None:
        """The connection is over."""
