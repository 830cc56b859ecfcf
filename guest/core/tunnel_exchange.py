"""
One exchange for which its client wants a tunnel (docs/protocol.md, "Tunnels").

Its bodies go in frames, until the proxy offers a data connection: then each half moves to it at a
point of its own, without losing order. Or all of it goes that way, if it was accepted so. Imports
no framework.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guest.core.data_link import BulkPolicy, DataLink
from guest.core.errors import RequestAborted
from guest.core.exchange import HELD, TURN, GuestExchange
from guest.core.framework import Framework
from guest.core.response import Response
from guest.core.response_body import OutgoingBody
from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection
from subproxy.wire.exchange import WireExchange
from subproxy.wire.fields import Headers
from subproxy.wire.states import Half, Tunnel

_LOST = b"the data connection of the tunnel is gone"


class TunnelExchange(GuestExchange):
    """
    An exchange that may become a tunnel; if it is refused, it is one like any other.

    The application sees nothing of how its bytes travel.
    """

    __slots__ = ("_dialled", "_ending_length", "_moved", "_raw", "_settled", "_wire")

    def __init__(
        self,
        connection: WireConnection,
        message: m.Request,
        framework: Framework,
        flush: Callable[[], None],
        ready: Callable[[], bool],
        bulk: BulkPolicy | None,
        settled: Callable[[GuestExchange], None],
    ) -> None:
        """
        Begin.

        @param settled: is told that this may be over now.
        """
        super().__init__(connection, message, framework, flush, ready, bulk)
        self._settled = settled
        wire = connection.exchanges[message.exchange]
        self._wire: WireExchange = wire
        self._dialled = False  # a data connection was asked for
        self._moved = False  # what our half still sends may go over it
        self._raw = 0  # bytes of our half that went so
        self._ending_length: int | None = None  # of the client's half, once its end was told

    @property
    def finished(self) -> bool:
        """See L{GuestExchange.finished}: not while bytes of the client are still on their way."""
        return self.over and not self._awaits

    @property
    def _awaits(self) -> bool:
        """The client's half has ended, and not all of it is here."""
        return self._ending_length is not None and self._came < self._ending_length

    @property
    def _came(self) -> int:
        """Bytes of the client's half that are here."""
        tunnel = self._wire.tunnel
        return self._arrived + (0 if tunnel is None else tunnel.received)

    # The data connection.

    def connect_came(self, token: bytes) -> None:
        """The proxy offers a data connection, or brings the one that was asked for."""
        if self._wire.tunnel is None:
            super().connect_came(token)
        elif not self._dialled and self._bulk is not None:
            self._dialled = True
            self._bulk.start(self._dial(self._bulk, token))

    async def _dial(self, bulk: BulkPolicy, token: bytes) -> None:
        line = await bulk.lines.tunnel(self.number, token)
        tunnel = self._wire.tunnel
        if self.over or tunnel is None:
            if line is not None:
                line.abort()
        elif line is None:
            self._dialled = False
            if tunnel.state is Tunnel.DIRECT:
                self._broke()
        else:
            self._line = line
            if self._wire.theirs is Half.RAW:
                line.receive(None, self)
            await self._move(line)

    async def _move(self, line: DataLink) -> None:
        """Move our half, if it has not ended: what waited for credit is the first to go."""
        wire = self._wire
        ended = wire.ending is not None
        if wire.ours is Half.STREAMING:
            pieces = self._connection.move_body(self.number)
            self._flush()
            for piece in pieces:
                if not await self._send_raw(line, bytes(piece)):
                    return
        self._moved = wire.ours is Half.RAW
        if ended and self._moved:
            self._end()
        self.wake()

    async def _send_raw(self, line: DataLink, piece: bytes) -> bool:
        self._raw += len(piece)
        if await line.send(piece):
            return True
        self._broke()
        return False

    def moved(self) -> None:
        """The client's half has moved."""
        if self._line is not None:
            self._line.receive(None, self)

    def _broke(self) -> None:
        """There is no data connection any more, and no other way."""
        self._break_off(_LOST)
        self._body.failed(RequestAborted("lost", _LOST.decode()))
        self.wake()
        self._settled(self)

    # What comes.

    def data_received(self, data: bytes) -> None:
        """A piece of the client's half came over the data connection."""
        super().data_received(data)
        self._look()

    def data_lost(self) -> None:
        """The data connection is gone: a break, unless both halves are complete."""
        self._line = None
        if not self.over or self._awaits:
            self._ending_length = None
            self._broke()

    def agrees(self, length: object) -> bool:
        """Whether the end of the client's half may tell this length."""
        tunnel = self._wire.tunnel
        if tunnel is None or type(length) is not int:
            return True
        self._ending_length = length
        return self._came <= length

    def body_ended(self, trailers: Headers) -> None:
        """The client's half is complete, as soon as all that a data connection brings is here."""
        if self._ending_length is None:
            self._body.ended([])
        else:
            self._look()

    def _look(self) -> None:
        """See whether all of the client's half is here."""
        length = self._ending_length
        if length is None or self._came < length:
            return
        if self._came > length:
            self._ending_length = None
            self._broke()
            return
        self._body.ended([])
        self._settled(self)

    def _consumed(self, amount: int) -> None:
        if self._wire.theirs is not Half.RAW and not self._arrived:
            super()._consumed(amount)
            return
        self._held = max(0, self._held - amount)
        if self._line is not None and self._held < HELD // 2:
            self._line.resume()

    def ended(self, reason: RequestAborted) -> None:
        """See L{GuestExchange.ended}: after both halves it is we who close the connection."""
        line = self._line
        if line is not None and reason.code == "answered":
            self._line = None
            line.close()
        self._ending_length = None
        super().ended(reason)

    # What goes.

    async def stream(self, outgoing: OutgoingBody, response: Response) -> None:
        """See L{GuestExchange.stream}."""
        if self._wire.tunnel is None:
            await super().stream(outgoing, response)
            return
        try:
            sent = 0
            while await self._room():
                piece = await outgoing.next()
                if self.over:
                    return
                if piece is None:
                    self._end()
                    return
                if not await self._put(piece):
                    return
                sent += len(piece)
                if sent >= TURN:
                    sent = 0
                    await self._turn()
        finally:
            await outgoing.close()

    async def _put(self, piece: bytes) -> bool:
        """Send some of our half; False if it broke."""
        line = self._line
        if self._moved:
            return line is not None and await self._send_raw(line, piece)
        self._connection.write_body(self.number, piece)
        self._flush()
        return True

    def _end(self) -> None:
        """We send no more."""
        info: Any = {}
        if self._wire.ours is Half.RAW:
            tunnel = self._wire.tunnel
            assert tunnel is not None
            info = {b"length": tunnel.sent + self._raw}
        self._connection.end_body(self.number, [], info)
        self._flush()

    async def _room(self) -> bool:
        """See L{GuestExchange._room}: what has moved waits until there is a connection for it."""
        while not self.over:
            if self._moved:
                return True
            framed = self._wire.ours is not Half.RAW
            if framed and not self._connection.pending(self.number) and self._ready():
                return True
            await self._wait()
        return False
