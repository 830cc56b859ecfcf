"""
What another host says first, read by the parent, so that a worker can be chosen.

That is a C{ClientHello}, in which it says which process it dials. It is not answered here, and
nothing of it is believed: TLS is for the worker that gets the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, ITCPTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from subproxy.frontend.peer.host_gate import HANDSHAKE_TIMEOUT, MAX_HANDSHAKES
from subproxy.frontend.peer.process_place import process_wanted
from subproxy.frontend.tls.client_hello import NotTls, read_client_hello
from subproxy.workers.guest_connection import take_descriptor

LONGEST_HELLO: Final = 16_384
"""Bytes of a first message at most; who says more is no host of ours."""

Place = Callable[[int, int, bytes], None]


class HostGreetingProtocol(Protocol):
    """
    One connection, until it is known for which process it is.

    @param place: gets the process, the descriptor, and what was read.
    @param over: hears once that it is passed on, or gone.
    """

    transport: Any

    def __init__(self, clock: Any, place: Place, over: Callable[[], None]) -> None:
        self._clock = clock
        self._place = place
        self._over: Callable[[], None] | None = over
        self._data = b""
        self._deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Somebody dialled."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self._deadline = self._clock.callLater(HANDSHAKE_TIMEOUT, self.transport.abortConnection)

    def dataReceived(self, data: bytes) -> None:
        """Look whether the first message is whole."""
        if self._over is None:
            return
        self._data += data
        try:
            hello = read_client_hello(self._data)
        except NotTls:
            self.transport.abortConnection()
            return
        if hello is not None:
            self._settle()
            self._place(process_wanted(hello.name), take_descriptor(self.transport), self._data)
        elif len(self._data) > LONGEST_HELLO:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """It is gone."""
        self._settle()

    def _settle(self) -> None:
        over, self._over = self._over, None
        if over is not None:
            over()
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()


class HostGreetingFactory(Factory):
    """
    Makes a L{HostGreetingProtocol} for each connection, unless there are too many.

    @ivar open: how many have not said yet for which process they are.
    """

    noisy = False

    def __init__(self, clock: Any, place: Place) -> None:
        self.open = 0
        self._clock = clock
        self._place = place

    def buildProtocol(self, addr: object) -> HostGreetingProtocol | None:
        """Somebody dialled."""
        if self.open >= MAX_HANDSHAKES:
            return None
        self.open += 1
        return HostGreetingProtocol(self._clock, self._place, self._settled)

    def _settled(self) -> None:
        self.open -= 1
