"""
What the parts of a frontend know of each other: narrow, and upwards only.

A connection has its client streams, and a stream has its body source; each knows what it belongs
to by one of these alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from subproxy.core.exchange import Exchange, Headers, ResponseHead
from subproxy.core.http.upgrade import Upgrade
from subproxy.errors import ClientError
from subproxy.frontend.client_tunnel import ClientTunnel, TunnelStream
from subproxy.frontend.connection_state import ConnectionState
from subproxy.frontend.context import FrontendContext
from subproxy.relay.receiving import ReceivingState
from subproxy.telemetry.close_reason import CloseReason


class IBodySource(Protocol):
    """
    What reads the body of one request from its client.

    @ivar waits: what the client has sent is read in part; the rest has its turn next.
    """

    waits: bool

    @property
    def complete(self) -> bool:
        """All of it was read."""

    def too_slow(self, now: float) -> bool:
        """Whether the client is behind its slowest rate by more than its grace."""

    def restart_pace(self, started: float) -> None:
        """The client has been waited for since C{started}, and owes nothing from before."""

    def came(self, data: bytes) -> None:
        """Bytes came from the client; what is beyond the body, the connection holds."""

    def wait(self) -> None:
        """Read on in the next turn of the reactor what the connection holds of the body."""

    def pause(self) -> None:
        """The guest takes no more body for now."""

    def resume(self) -> None:
        """The guest takes body."""

    def lend(self, least: int, then: Callable[[int, int], None]) -> bool:
        """Lend the receiving side: see L{subproxy.core.interfaces.IClientSocket}."""

    def moved(self, amount: int) -> None:
        """Some of the body went its way, not through our hands."""

    def stalled(self, stalled: bool) -> None:
        """It is the guest that stops the body; or not."""

    def returned(self) -> None:
        """The receiving side is the connection's again."""


class IResponseEncoder(Protocol):
    """
    One response in the words of an HTTP version. Pure: it returns what is to be written.

    Called in the order C{interim}..., C{start}, C{data}..., C{end}.
    """

    @property
    def supports_interim(self) -> bool:
        """The client understands interim responses (1xx)."""

    @property
    def stays(self) -> bool:
        """Behind C{start}: the client was told that the connection stays."""

    @property
    def has_body(self) -> bool:
        """Behind C{start}: the response has a body, of whatever length."""

    @property
    def plain(self) -> bool:
        """Behind C{start}: the body is written as it comes, and the client knows its length."""

    def interim(self, status: int, headers: Headers) -> bytes:
        """An interim response."""

    def start(
        self,
        head: ResponseHead,
        body: bytes | None,
        may_stay: bool,
        request_id: bytes,
        date: bytes,
    ) -> list[bytes]:
        """
        The head, and the body if it is here.

        @param may_stay: the connection may serve another request after this one.
        @param request_id: for C{X-Request-Id}; empty for none.
        @param date: added if the guest sent no C{Date}.
        """

    def change_protocol(
        self,
        head: ResponseHead,
        upgrade: Upgrade | None,
        protocol: bytes,
        request_id: bytes,
        date: bytes,
    ) -> tuple[int, bytes]:
        """
        The head that changes to C{protocol}, in the place of C{start}; C{data} is raw then.

        @param upgrade: what the client has asked for.
        @param date: added to a final response, if the guest sent no C{Date}.
        @return: its status, and its bytes.
        """

    @property
    def changed(self) -> IResponseEncoder:
        """Behind C{change_protocol}: what writes what follows, perhaps for more than one."""

    def data(self, data: bytes) -> list[bytes]:
        """Some of a body."""

    def end(self, trailers: Headers) -> bytes:
        """The end of a body; empty where nothing is to be written."""


class IClientConnection(Protocol):
    """The connection of a client, as an answer that goes over it sees it."""

    @property
    def writable(self) -> bool:
        """The client takes what is written."""

    @property
    def lendable(self) -> bool:
        """Whether the transport is a plain socket."""

    @property
    def read_size(self) -> int:
        """Bytes of a body that may be read of its guest at once."""

    def write(self, data: bytes) -> None:
        """Write to the client."""

    def writeSequence(self, pieces: Sequence[bytes]) -> None:
        """Write to the client."""

    def may_stay(self, keep_alive: bool) -> bool:
        """
        Whether the connection may serve another request after the one under way.

        @param keep_alive: the client wants it to.
        """

    def response_begins(self) -> float:
        """A response head is about to be written; returns the time."""

    def stream_begins(self) -> bool:
        """The head of a streamed answer is about to be written: false if nobody wants it."""

    def tunnel_starts(self) -> bool:
        """A tunnel is about to start: false if its client can't have one any more."""

    def tunnel_started(self, stream: TunnelStream) -> ClientTunnel:
        """The client has been told that C{stream} is one: what it sends is for the guest."""

    def stream_wrote(self) -> None:
        """Some of a streamed answer was written."""

    def answered(self, stream: object, stays: bool) -> None:
        """
        The answer C{stream} was written whole.

        @param stays: whether the client was told that the connection stays.
        """

    def break_off(self) -> None:
        """The answer can't be completed: let the client see that."""

    def lendSending(self, then: Callable[[int], None]) -> bool:
        """Lend the sending side when all that was written has left."""

    def pauseProducing(self) -> None:
        """The client does not take what is written."""

    def resumeProducing(self) -> None:
        """All that was written has left."""

    def close(self, reason: CloseReason) -> None:
        """Close, in the manner that the reason has."""


class IClientStream(Protocol):
    """
    One exchange on a connection, as the source of its request body sees it.

    @ivar exchange: the exchange, until it is logged.
    @ivar body_source: what reads the body of the request, while there is some to come.
    @ivar sent: bytes of the body of the answer that have gone.
    """

    exchange: Exchange | None
    body_source: IBodySource | None
    sent: int

    @property
    def begun(self) -> bool:
        """The head of the answer was written."""

    @property
    def response_timeout(self) -> float:
        """Seconds from the whole request to the head of its response."""

    def body_came(self) -> None:
        """The client sends its body without having been asked."""


class IBodyConnection(Protocol):
    """
    The connection of a client, as the source of a request body sees it.

    @ivar held: bytes that are not parsed yet.
    @ivar body_reader: the source, while it reads.
    @ivar receiving: who takes what the client sends.
    """

    context: FrontendContext
    transport: Any
    state: ConnectionState
    held: bytes
    body_reader: IBodySource | None
    receiving: ReceivingState

    def go(self, state: ConnectionState) -> None:
        """Do something else with the bytes that come in, from now on."""

    def wait(self, seconds: float) -> None:
        """Set the deadline of the state, so many seconds from now."""

    def wait_for_pace(self) -> None:
        """Let only the slowest rate of the body be kept: no deadline of the state."""

    def pause_reading(self) -> None:
        """Read no more for now."""

    def resume_reading(self) -> None:
        """Read again."""

    def receive(self, state: ReceivingState) -> None:
        """Have somebody else take what the client sends, from now on."""

    def lend_receiving(self, then: Callable[[bytes], None]) -> None:
        """Lend the receiving side; C{then} is given what had been read already, now or later."""

    def readConnectionLost(self) -> None:
        """The client sends no more."""

    def collected(self, body: bytes) -> None:
        """A request whose body was waited for is whole."""

    def fail(self, error: ClientError) -> None:
        """The body of the request can't be had: answer that, and close."""
