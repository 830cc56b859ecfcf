"""
What can go wrong on the wire, by whose fault and how far it reaches.

    WireError
    ├── LocalProtocolError      we tried to send what the protocol does not allow: a bug of ours
    │   └── TooLarge            a frame that is longer than the peer takes
    └── RemoteProtocolError     the peer sent what the protocol does not allow
        ├── FrameError          the bytes are no frame: nothing after them can be trusted
        ├── MessageError        a frame, but no valid message
        │   └── HelloError      the message is C{hello}: it is answered with C{refused}, too
        ├── StateError          a valid message at the wrong time
        └── ExchangeError       only one exchange is concerned: abort it, keep the connection

All of the second branch but L{ExchangeError} end the connection (docs/protocol.md, "Errors").
"""

from __future__ import annotations


class WireError(Exception):
    """The root of all that this package raises."""


class LocalProtocolError(WireError):
    """We tried to send something that the protocol does not allow now."""


class TooLarge(LocalProtocolError):
    """The frame is longer than the peer takes; nothing was sent and nothing has changed."""


class RemoteProtocolError(WireError):
    """
    The peer sent something that the protocol does not allow.

    @cvar code: what C{bye} (of an L{ExchangeError}: C{abort}) tells the peer.
    """

    code: bytes


class FrameError(RemoteProtocolError):
    """The bytes are not a frame within the limits."""

    code = b"frame"


class MessageError(RemoteProtocolError):
    """The frame is not a message: unknown shape, type or value."""

    code = b"message"


class HelloError(MessageError):
    """
    C{hello} lacks something, has a wrong value, or is of another version.

    @ivar refusal: the code of the C{refused} that the guest is sent.
    """

    code = b"refused"

    def __init__(self, refusal: bytes, reason: str) -> None:
        super().__init__(reason)
        self.refusal = refusal


class StateError(RemoteProtocolError):
    """The message is not allowed in this state of the connection."""

    code = b"state"


class ExchangeError(RemoteProtocolError):
    """
    The message is not allowed in this state of its exchange.

    @ivar exchange: the number of the exchange, which is over.
    """

    code = b"protocol"

    def __init__(self, exchange: int, reason: str) -> None:
        super().__init__(reason)
        self.exchange = exchange
