"""What a connection of the wire reports beside the messages that came."""

from __future__ import annotations

from subproxy.wire.errors import RemoteProtocolError
from subproxy.wire.messages import Message
from subproxy.wire.values import value_class


@value_class
class Violation:
    """
    An event: the peer broke a rule that concerns one exchange only.

    The exchange is forgotten, and the peer has been sent C{abort}.
    """

    exchange: int
    reason: str


@value_class
class Broken:
    """
    An event, the last: the peer broke a rule, and nothing it says can be trusted now.

    The peer has been sent C{bye}; write what is to be written, then close.
    """

    error: RemoteProtocolError


@value_class
class Ignored:
    """
    An event: so many frames in a row were of no interest.

    There is nothing to do about it. It is there so that whoever takes a number of events a turn
    also reads a bounded number of frames a turn, whatever a peer sends.
    """

    frames: int


WireEvent = Message | Violation | Broken | Ignored
