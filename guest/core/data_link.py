"""What the core of a guest wants of data connections, whatever framework they are made with."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from subproxy.wire.values import value_class

if TYPE_CHECKING:
    from guest.core.files import FileBody


class BodyReceiver(Protocol):
    """Whose body comes over a data connection."""

    def data_received(self, data: bytes) -> None:
        """A piece of it."""

    def data_complete(self) -> None:
        """All of it has come."""

    def data_lost(self) -> None:
        """The connection is gone before that."""


class DataLink(Protocol):
    """
    A data connection that has claimed a token for a body:
    L{guest.twisted.data_connection.GuestDataConnection}.
    """

    def receive(self, length: int | None, receiver: BodyReceiver) -> None:
        """Give C{receiver} the next C{length} bytes; None: all that come, of a tunnel."""

    def pause(self) -> None:
        """Read no more for now."""

    def resume(self) -> None:
        """Read on."""

    async def send(self, piece: bytes) -> bool:
        """Send some body; returns when there is room for more, with whether there ever will be."""

    async def send_file(self, body: FileBody) -> bool:
        """Send all of a file, or of a part of one; likewise."""

    def release(self) -> None:
        """A body has been sent whole: keep the connection for another, when it has come."""

    def close(self) -> None:
        """Close behind what was written."""

    def abort(self) -> None:
        """Close at once."""


class DataLinks(Protocol):
    """The pool that dials data connections: L{guest.twisted.data_connection.DataPool}."""

    async def connect(self, exchange: int, token: bytes) -> DataLink | None:
        """One for the body that C{token} stands for; None if none can be had."""

    def claim_idle(self, exchange: int, token: bytes) -> DataLink | None:
        """One for the body that C{token} stands for, at once; None if none is idle."""

    async def tunnel(self, exchange: int, token: bytes) -> DataLink | None:
        """One for a tunnel, for which the proxy has said that it has it; likewise."""


@value_class
class BulkPolicy:
    """
    How large bodies travel: over data connections, instead of frames.

    @ivar lines: dials data connections.
    @ivar threshold: bodies of so many bytes or more go over them.
    @ivar start: runs a coroutine.
    """

    lines: DataLinks
    threshold: int
    start: Callable[[Coroutine[Any, Any, None]], object]
