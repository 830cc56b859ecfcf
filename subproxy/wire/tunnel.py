"""The wire's view of one tunnel: how far it is, and how much of each half went in frames."""

from __future__ import annotations

from subproxy.wire.errors import MessageError
from subproxy.wire.fields import Headers, Info
from subproxy.wire.info import end_length
from subproxy.wire.states import TUNNEL, Event, Half, Tunnel


class WireTunnel:
    """
    What the two halves of a tunnel have in common (docs/protocol.md, "Tunnels").

    @ivar state: how far it is.
    @ivar sent: bytes of our half that went in frames.
    @ivar received: bytes of theirs that came in frames.
    """

    __slots__ = ("received", "sent", "state")

    def __init__(self) -> None:
        self.state = Tunnel.ASKED
        self.sent = 0
        self.received = 0

    def __str__(self) -> str:
        return self.state.name.lower()

    def go(self, event: Event) -> bool:
        """Move to where C{event} leads; False if the table does not allow it."""
        after = TUNNEL[self.state].get(event)
        if after is None:
            return False
        self.state = after
        return True

    def end_fault(self, half: Half, framed: int, trailers: Headers, info: Info) -> str | None:
        """What is wrong with the end of a C{half} of which C{framed} bytes went in frames."""
        if trailers:
            return "a tunnel has no trailers"
        if half is not Half.RAW:
            return None
        try:
            length = end_length(info)
        except MessageError as error:
            return str(error)
        if length is None:
            return "length is missing"
        return "length is less than what went in frames" if length < framed else None


def accepted(status: int, head: Event) -> Event | None:
    """
    How a final response accepts a tunnel.

    @param head: how its body comes, as that of any response.
    @return: L{Event.STREAM} or L{Event.DIRECT}; None if it refuses.
    """
    if not 200 <= status < 300 or head is Event.WHOLE:
        return None
    return Event.DIRECT if head is Event.BULK else Event.STREAM
