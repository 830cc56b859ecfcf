"""What the fallback needs of a tunnel that the compiled path has."""

from __future__ import annotations

from typing import Protocol


class TunnelNumbers(Protocol):
    """
    A L{FastTunnel}: the credit of each half, and what went through it, in bytes.

    @ivar first_byte: when its head was written, in monotonic seconds.
    @ivar available: what may be sent to the guest.
    @ivar left: what the guest may send.
    @ivar owed: of the guest's, what has not left for the client.
    @ivar sent: of the client's; C{received}, of the guest's.
    @ivar much_sent: of the client's, those in pieces that count as much; C{much_received} likewise.
    """

    first_byte: float
    available: int
    left: int
    owed: int
    sent: int
    received: int
    much_sent: int
    much_received: int
