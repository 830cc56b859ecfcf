"""What is said to a VMM before a guest's stream is there, byte by byte."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import NoProtocol
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from subproxy.endpoints.addresses import HybridVsockAddress
from subproxy.endpoints.errors import HandshakeFailed
from subproxy.endpoints.hybridclient import (
    MAX_ANSWER,
    HybridVsockClientEndpoint,
    _GuestStreamFactory,
)

GUEST = HybridVsockAddress("/tmp/cid10.sock", 99)


class Kept(Protocol):
    def __init__(self) -> None:
        self.received = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True


class Handshake:
    """One dial, from its first byte."""

    def __init__(self, protocol: type[Kept] | None = Kept) -> None:
        self.made: list[Any] = []
        factory = Factory()
        factory.noisy = False

        def build(address: Any) -> Any:
            self.made.append((address, protocol() if protocol else None))
            return self.made[-1][1]

        factory.buildProtocol = build  # type: ignore[method-assign]
        self.stream = _GuestStreamFactory(factory, GUEST).buildProtocol(None)
        self.result: Any = None
        self.stream.established.addBoth(self.keep)
        self.transport = StringTransport()
        self.stream.makeConnection(self.transport)  # type: ignore[arg-type]

    def keep(self, result: Any) -> None:
        self.result = result

    def error(self) -> Exception:
        assert isinstance(self.result, Failure), self.result
        value: Any = self.result.value
        return value


class HandshakeTests(SynchronousTestCase):
    def test_interface(self) -> None:
        """It is a client endpoint."""
        verifyObject(IStreamClientEndpoint, HybridVsockClientEndpoint(MemoryReactorClock(), "/a"))

    def test_asks(self) -> None:
        """The line goes out first, and the protocol waits for the answer."""
        dial = Handshake()
        self.assertEqual(dial.transport.value(), b"CONNECT 99\n")
        self.assertEqual(dial.made, [])

    @given(st.binary(max_size=64), st.lists(st.integers(0, 90)), st.sampled_from([b"\n", b"\r\n"]))
    def test_anyPieces(self, rest: bytes, cuts: list[int], end: bytes) -> None:
        """However the answer is cut, the protocol gets what follows it, all of it."""
        data = b"OK 1073741824" + end + rest
        dial = Handshake()
        edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        for begin, stop in itertools.pairwise(edges):
            dial.stream.dataReceived(data[begin:stop])
        address, protocol = dial.made[0]
        self.assertIs(dial.result, protocol)
        self.assertEqual(address, GUEST)
        self.assertEqual(protocol.received, rest)
        self.assertEqual(protocol.transport.getPeer(), GUEST)
        self.assertEqual(protocol.transport.getHost(), HybridVsockAddress(GUEST.path))

    @given(st.binary(min_size=MAX_ANSWER, max_size=200))
    def test_anyAnswer(self, data: bytes) -> None:
        """Whatever comes, it is decided within 32 bytes."""
        dial = Handshake()
        dial.stream.dataReceived(data)
        self.assertIsNotNone(dial.result)

    def test_wrongAnswers(self) -> None:
        """What is not the answer ends the connection, and the protocol is never made."""
        for answer in (
            b"\n",
            b"OK\n",
            b"OK \n",
            b"OK x\n",
            b"OK 1 \n",
            b"ok 1\n",
            b" OK 1\n",
            b"OK 123456789012345678901\n",
            b"OK -1\n",
            b"x" * MAX_ANSWER,
        ):
            dial = Handshake()
            dial.stream.dataReceived(answer)
            self.assertIsInstance(dial.error(), HandshakeFailed)
            self.assertTrue(dial.transport.disconnected or dial.transport.disconnecting)
            self.assertEqual(dial.made, [])

    def test_closedWithoutAnswer(self) -> None:
        """As when nobody listens in the guest."""
        dial = Handshake()
        dial.stream.connectionLost(Failure(CONNECTION_DONE))
        self.assertIn("closed without an answer", str(dial.error()))

    def test_noProtocol(self) -> None:
        """A factory that wants none gets none."""
        dial = Handshake(None)
        dial.stream.dataReceived(b"OK 1\n")
        self.assertIsInstance(dial.error(), NoProtocol)

    def test_lost(self) -> None:
        """The end of the stream is the protocol's."""
        dial = Handshake()
        dial.stream.dataReceived(b"OK 1\n")
        dial.stream.connectionLost(Failure(CONNECTION_DONE))
        self.assertTrue(dial.result.lost)
