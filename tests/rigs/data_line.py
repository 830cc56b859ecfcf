"""A guest's end of a data connection, in memory (see L{tests.rigs.world})."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from subproxy.subscription.protocol import SubscriptionProtocol
from subproxy.wire import messages as m
from subproxy.wire.frames import FrameDecoder
from tests.rigs.world import World


class Line:
    """One data connection to the proxy of C{world}."""

    def __init__(self, world: World, identity: str = "1") -> None:
        self.protocol: SubscriptionProtocol = world.factory.buildProtocol(None)
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", identity, 1))
        self.transport.abortConnection = self.transport.loseConnection  # type: ignore[method-assign]
        self.protocol.makeConnection(self.transport)

    def connect(self, exchange: int, token: bytes, more: bytes = b"") -> None:
        """Claim a token, with C{more} behind it."""
        self.say(m.Connect(exchange, token).encode() + more)

    def say(self, data: bytes) -> None:
        """Send bytes."""
        self.protocol.dataReceived(data)

    def take(self) -> bytes:
        """All that the proxy has sent."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def frame(self) -> m.Message | None:
        """The one frame that it has sent."""
        decoder = FrameDecoder(1000)
        decoder.feed(self.take())
        frame = decoder.next()
        assert not decoder.pending
        return None if frame is None else m.parse(frame)

    @property
    def closed(self) -> bool:
        """Whether the proxy has closed it."""
        return bool(self.transport.disconnecting)

    def lose(self) -> None:
        """It breaks."""
        self.protocol.connectionLost(Failure(ConnectionDone()))
