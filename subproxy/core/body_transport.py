"""
How a body travels between the proxy and a guest: one decision, for requests and responses.

The proxy decides it for a request (L{choose}); for a response the guest does, by the same rules,
and says so in the head (L{announced}). The compiled path carries bodies in whole frames
(L{BodyTransport.INLINE}), and those over data connections whose length is told, by the same bounds
(L{subproxy.fastpath._asking}, L{subproxy.fastpath._answering_connection}): all else it leaves to
the Python path.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from subproxy.core.fast_enum import fast_enum
from subproxy.errors import GuestMisbehaved
from subproxy.wire.values import value_class


@fast_enum
class BodyTransport(Enum):
    """The ways."""

    INLINE = auto()
    """Whole, in the frame of its head."""
    FRAMES = auto()
    """In C{body} frames, under credit."""
    DATA_CONNECTION = auto()
    """As raw bytes over a connection of its own; the guest may still ask for frames."""


@value_class
class BodyLimits:
    """
    What decides, for one connection.

    @ivar inline: bytes of the longest body that the peer takes in the frame of its head.
    @ivar bulk: bytes from which a body goes over a data connection; 0: none does.
    """

    inline: int
    bulk: int = 0


def choose(held: int | None, length: int | None, limits: BodyLimits) -> BodyTransport:
    """
    How the body of a request goes.

    @param held: bytes of it, if all of it is here already, so that it can be sent again; else None.
    @param length: bytes of it, if that is known.
    """
    if held is not None:
        return BodyTransport.INLINE if held <= limits.inline else BodyTransport.FRAMES
    if (length or 0) >= limits.bulk > 0:
        return BodyTransport.DATA_CONNECTION
    return BodyTransport.FRAMES


def announced(
    body: bytes | dict[bytes, Any] | None,
) -> tuple[BodyTransport, bytes | None, int | None]:
    """
    How the body of a response goes, by what its head has in its place.

    @return: the way; the body, if it is inline; its length in bytes, if it goes over a data
        connection and that is told.
    @raise GuestMisbehaved: what is told is no length.
    """
    if body is None:
        return BodyTransport.FRAMES, None, None
    if not isinstance(body, dict):
        return BodyTransport.INLINE, body, None
    length = body.get(b"length")
    if length is not None and (type(length) is not int or length < 0):
        raise GuestMisbehaved("the length of the body is not a number of bytes")
    return BodyTransport.DATA_CONNECTION, None, length
