"""
The first frame of a guest's connection, read by the parent, so that a worker can be chosen.

What a guest may open, by its quota and by how it behaves, is decided here, for all workers. All
else is for the worker that gets the connection: it answers, and closes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any
from typing import Protocol as Structure

from twisted.internet.interfaces import IAddress, IDelayedCall, ITransport
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.core.access.penalties import PenaltyBox
from subproxy.core.access.policy import Policy
from subproxy.endpoints.identity import identity_of_peer, identity_of_transport
from subproxy.subscription.log_limiter import WARN, IdentityLogLimiter
from subproxy.wire import messages as m
from subproxy.wire.errors import RemoteProtocolError
from subproxy.wire.frames import FrameDecoder
from subproxy.workers.guest_connection import begin_connection, take_descriptor

GREETING_TIMEOUT = 5.0
"""Seconds that a connection has to say what it is, as in a proxy of one process."""

LONGEST_GREETING = 65_536
"""Bytes of a first frame of which the parent takes note; a longer one is for any worker to read."""


class GuestPlacer(Structure):
    """Who finds the worker for a connection."""

    def count(self, identity: str) -> int:
        """How many connections C{identity} has with all workers."""

    def place(self, greeted: GreetedConnection) -> None:
        """Pass it on, now or as soon as its worker is there."""


class GreetedConnection:
    """
    A connection that has said what it is, or has not in time.

    @ivar descriptor: ours, until it is passed on.
    @ivar identity: which VM it is.
    @ivar data: all that was read.
    @ivar first: its first message; None if that could not be read.
    @ivar late: it has said nothing whole in time.
    """

    def __init__(
        self,
        descriptor: int,
        identity: str,
        data: bytes,
        first: m.Message | None = None,
        late: bool = False,
    ) -> None:
        self.descriptor = descriptor
        self.identity = identity
        self.data = data
        self.first = first
        self.late = late

    def described(self) -> list[Any]:
        """What another program has to know of it."""
        return [self.descriptor, self.identity, self.data.decode("latin-1")]

    def close(self) -> None:
        """Nobody wants it."""
        os.close(self.descriptor)


class GreetingProtocol(Protocol):
    """One connection of a guest, until its first frame is whole."""

    transport: Any

    def __init__(self, factory: GreetingFactory, identity: str) -> None:
        self.identity = identity
        self._factory = factory
        self._data: list[bytes] = []
        self._decoder = FrameDecoder(LONGEST_GREETING)
        self._timer: IDelayedCall | None = None
        self._over = False

    def connectionMade(self) -> None:
        """A guest dialled."""
        if not self._factory.admit(self):
            self._over = True
            self.transport.abortConnection()
            return
        self._wait_out()

    def _wait_out(self) -> None:
        """Read nothing until the offences of this identity are made up for."""
        seconds = self._factory.penalty(self.identity)
        if seconds:
            self.transport.pauseProducing()
            self._timer = self._factory.clock.callLater(seconds, self._wait_out)
        else:
            self.transport.resumeProducing()
            self._timer = self._factory.clock.callLater(GREETING_TIMEOUT, self._late)

    def dataReceived(self, data: bytes) -> None:
        """Look whether the first frame is whole."""
        if self._over:
            return
        self._data.append(data)
        first = None
        try:
            self._decoder.feed(data)
            frame = self._decoder.next()
            if frame is None:
                return
            first = m.parse(frame)
        except RemoteProtocolError:
            pass  # the worker will say what is wrong with it
        self._pass_on(first, late=False)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """It is gone, or passed on."""
        self._cancel()
        if not self._over:
            self._over = True
            self._factory.gone(self)

    def detach(self) -> GreetedConnection:
        """Stop here, and close nothing: what it has said so far."""
        return self._detach(None, late=False)

    def _late(self) -> None:
        self._timer = None
        self._pass_on(None, late=True)

    def _pass_on(self, first: m.Message | None, late: bool) -> None:
        try:
            greeted = self._detach(first, late)
        except OSError as error:  # there is no descriptor for it: it may dial again
            self._factory.not_passed(self.identity, str(error.strerror))
            self.transport.abortConnection()
        else:
            self._factory.placer.place(greeted)

    def _detach(self, first: m.Message | None, late: bool) -> GreetedConnection:
        self._over = True
        self._cancel()
        self._factory.gone(self)
        descriptor = take_descriptor(self.transport)
        return GreetedConnection(descriptor, self.identity, b"".join(self._data), first, late)

    def _cancel(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


class GreetingFactory(Factory):
    """
    Makes a L{GreetingProtocol} for each connection of a guest, unless it has too many.

    @ivar policy: whose quotas hold.
    @ivar penalties: who has to wait because of what it did, at whichever worker.
    @ivar open: the connections that have not said yet what they are.
    """

    noisy = False
    _log = Logger()

    def __init__(self, clock: Any, placer: GuestPlacer, now: Callable[[], float]) -> None:
        self.clock = clock
        self.placer = placer
        self.policy = Policy()
        self.penalties = PenaltyBox()
        self.open: set[GreetingProtocol] = set()
        self._now = now
        self._counts: Counter[str] = Counter()
        self._log_limiter = IdentityLogLimiter(now)

    def buildProtocol(self, addr: IAddress | None) -> GreetingProtocol | None:
        """A guest dialled; who it is, its address tells, or its transport will tell."""
        identity = identity_of_peer(addr)
        if identity is not None and not self._may_connect(identity):
            return None
        return GreetingProtocol(self, identity or "")

    def resume(self, descriptor: int, identity: str, data: bytes) -> None:
        """A connection that this program has inherited, with what was read of it."""
        protocol = GreetingProtocol(self, identity)
        begin_connection(self.clock, descriptor, identity, protocol, data)

    def detach_all(self) -> list[GreetedConnection]:
        """Stop reading all that are open, and close none: each with what was read of it."""
        return [each.detach() for each in list(self.open)]

    def admit(self, protocol: GreetingProtocol) -> bool:
        """Whether C{protocol} may stay; its identity is known then."""
        if not protocol.identity:
            transport: ITransport = protocol.transport
            identity = identity_of_transport(transport)
            if not self._may_connect(identity):
                return False
            protocol.identity = identity
        self._counts[protocol.identity] += 1
        self.open.add(protocol)
        return True

    def gone(self, protocol: GreetingProtocol) -> None:
        """C{protocol} is passed on, or closed."""
        self.open.discard(protocol)
        self._counts[protocol.identity] -= 1
        if not self._counts[protocol.identity]:
            del self._counts[protocol.identity]

    def not_passed(self, identity: str, why: str) -> None:
        """A connection of C{identity} is dropped, since it can't be passed on."""
        text = "a connection of {identity} can't be passed to a worker: {why}"
        self._log_limiter.emit(self._log, WARN, identity, text, why=why)

    def penalty(self, identity: str) -> float:
        """Seconds that a connection of C{identity} has to wait."""
        return self.penalties.penalty(identity, self._now())

    def expire(self) -> None:
        """Forget what is of no more use."""
        self.penalties.expire(self._now())

    def _may_connect(self, identity: str) -> bool:
        quota = self.policy.quotas(identity).connections
        if self._counts[identity] + self.placer.count(identity) >= quota:
            refusal = "{identity} has {quota} connections already: refused"
        elif not self.penalties.admit_dial(identity, quota, self._now()):
            refusal = "{identity} opens connections too often: refused"
        else:
            return True
        self._log_limiter.emit(self._log, WARN, identity, refusal, quota=quota)
        return False
