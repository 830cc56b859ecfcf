"""A port and its connections, for a stream socket that already listens.

Twisted's own C{tcp.Port} and C{unix.Port} make their sockets themselves and
know no other addresses than their own; here the socket comes from outside, and
what an accepted connection is called is the business of an C{Admission}.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from errno import EAGAIN, ECONNABORTED, EINTR, EMFILE, ENFILE, errorcode
from typing import Any, Protocol, TypeAlias

from twisted.internet import tcp
from twisted.internet.base import BasePort
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocol, IProtocolFactory
from twisted.logger import Logger
from twisted.python import reflect
from twisted.python.failure import Failure

from subproxy.core.access.log_limit import LogLimit

from .identity import identity_of

__all__ = ["Admission", "ListeningSocketPort", "StreamServer"]

SLICE = 0.0001
"""Seconds of one reactor turn that a port takes for accepting."""

REFUSALS = 4
"""Connections in a row that a port refuses before it rests, if one virtual machine has it."""

REST = 0.01
"""Seconds of that rest. A flood so costs a hundredth of the time."""

SHED_BOUND = 1024
"""Connections shed in one reactor turn."""

Admission: TypeAlias = Callable[[socket.socket, Any], IAddress | None]
"""Given an accepted socket and its raw peer name: the peer's address, or None to refuse it."""


class ITurns(Protocol):
    """What of L{subproxy.subscription.turn_budget.TurnBudget} is used."""

    def exhausted(self) -> bool:
        """Whether who asks should wait."""

    def defer(self, turn: Callable[[], None]) -> None:
        """Call C{turn} when it is its turn."""


class StreamServer(tcp.Server):
    """An accepted connection whose addresses are known from outside.

    Plain C{recv} and C{send}: unlike Twisted's unix transport it takes no
    file descriptors, which a VMM never sends and an intruder should not.
    """

    def __init__(
        self,
        skt: socket.socket,
        protocol: IProtocol,
        peer: IAddress,
        port: ListeningSocketPort,
        sessionno: int,
        reactor: Any,
    ) -> None:
        self._peer = peer
        self._host = port.host_of(skt)
        super().__init__(skt, protocol, (identity_of(peer), None), port, sessionno, reactor)

    def getPeer(self) -> IAddress:
        """The address that the admission gave this connection."""
        return self._peer

    def getHost(self) -> IAddress:
        """The address that the port listens on."""
        return self._host

    def getTcpNoDelay(self) -> bool:
        """False: neither vsock nor a unix socket has Nagle's algorithm to turn off."""
        return False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing: the option does not exist here (errno 92 on AF_VSOCK)."""


class _Reserve:
    """A descriptor kept in reserve, so that connections can be shed when there is none left."""

    def __init__(self) -> None:
        self._fd = -1

    def take(self) -> None:
        if self._fd < 0:
            try:
                self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                self._fd = -1

    def release(self) -> bool:
        """Close the spare descriptor; return False if there is none."""
        if self._fd < 0:
            return False
        os.close(self._fd)
        self._fd = -1
        return True


class ListeningSocketPort(tcp.Port):
    """Accepts connections from a socket that listens already, for as long as it lives.

    Accepting is never paused: on several VMMs a full backlog freezes every vsock
    port of the VM, so load is shed by accepting and closing. Only a port of one VM
    alone rests a moment between refusals, while nobody else than that VM waits.

    It accepts by readiness on every reactor. A connection is given to the reactor
    if that has transports of its own for it (C{adoptStreamSocket} of
    C{subproxy.reactor.interfaces.IReactorStreamSocket}), else to C{transport}.
    """

    transport = StreamServer  # type: ignore[assignment]
    _log = Logger()
    alone = False
    """Whether one virtual machine has this port for itself."""
    # close(2) is enough, and leaves a process alone that inherited the socket.
    _shouldShutdown = False

    def __init__(
        self,
        skt: socket.socket,
        factory: IProtocolFactory,
        host: IAddress,
        admission: Admission,
        reactor: Any,
        onClosing: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(0, factory, reactor=reactor)
        self._listening = skt
        self._host = host
        self._admission = admission
        self._onClosing = onClosing
        self._reserve = _Reserve()
        self._limit = LogLimit()
        self._accepts = 100
        self._seconds: Callable[[], float] = reactor.seconds
        self._postponed = False
        self._turnedAway = 0
        self._resting: IDelayedCall | None = None
        self._turns: ITurns | None = getattr(factory, "accepting", None)
        self._adopt = getattr(reactor, "adoptStreamSocket", None)

    def __repr__(self) -> str:
        state = "" if self.connected else " (not listening)"
        return (
            f"<{type(self).__name__} of {reflect.qual(type(self.factory))} on {self._host}{state}>"
        )

    def startListening(self) -> None:
        """Start the factory and the reading of the socket."""
        self._reserve.take()
        self._log.info(
            "{factory} starting on {host}",
            factory=self._getLogPrefix(self.factory),
            host=self._host,
        )
        self._realPortNumber = getattr(self._host, "port", None)
        self.factory.doStart()  # type: ignore[union-attr]
        self.connected = True
        self.socket = self._listening
        self.socket.setblocking(False)
        self.fileno = self.socket.fileno  # type: ignore[method-assign]
        self.startReading()  # type: ignore[no-untyped-call]

    def doRead(self) -> None:
        """
        Accept what waits, up to a bound that follows the traffic, and no longer than L{SLICE}.

        Where the factory has a share of each reactor turn for that (C{accepting}), all ports of
        it share it, in the order in which they are ready.
        """
        if self._resting is not None:
            return
        if self._turns is not None and self._turns.exhausted():
            # Other ports have taken this turn of the reactor. A thousand that wait must not be
            # asked in each turn whether they are ready: they are.
            self._postponed = True
            self.stopReading()  # type: ignore[no-untyped-call]
            self._turns.defer(self._my_turn)
            return
        self._accept()

    def _my_turn(self) -> None:
        if self._postponed and not self.disconnecting:
            self._postponed = False
            self.startReading()  # type: ignore[no-untyped-call]
            self._accept()

    def _accept(self) -> None:
        bound = self._accepts
        accepted = 0
        end = self._seconds() + SLICE
        while accepted < bound:
            try:
                skt, raw = self.socket.accept()
            except OSError as e:
                if e.errno in (EINTR, ECONNABORTED):
                    continue
                if e.errno in (EMFILE, ENFILE):
                    self._shed(e)
                elif e.errno != EAGAIN:
                    self._complain("accept failed: {error}", error=errorcode.get(e.errno or 0, e))
                break
            accepted += 1
            try:
                self._accepted(skt, raw)
            except BaseException:
                skt.close()
                self._log.failure("{host}: a connection could not be set up", host=self._host)
            if not self.connected:
                return
            if self.alone and self._turnedAway >= REFUSALS:
                self._rest()
                return
            if self._seconds() > end:
                # The rest has its turn after those who are connected already.
                return
        self._accepts = bound + 20 if accepted == bound else max(1, accepted)

    def _rest(self) -> None:
        """A flood: who is in it waits, not those who are served already."""
        self._turnedAway = 0
        self.stopReading()  # type: ignore[no-untyped-call]
        clock: Any = self.reactor
        self._resting = clock.callLater(REST, self._rested)

    def _rested(self) -> None:
        self._resting = None
        if not self.disconnecting:
            self.startReading()  # type: ignore[no-untyped-call]

    def retire(self) -> None:
        """Accept no more: another process does, from the same socket."""
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        self._postponed = False
        self.stopReading()  # type: ignore[no-untyped-call]

    def _accepted(self, skt: socket.socket, raw: Any) -> None:
        peer = self._admission(skt, raw)
        protocol = None
        if peer is not None:
            protocol = self.factory.buildProtocol(peer)  # type: ignore[union-attr]
        if peer is None or protocol is None:
            self._turnedAway += 1
            skt.close()
            return
        self._turnedAway = 0
        self.sessionno += 1
        number = self.sessionno
        if self._adopt is None:
            transport = self.transport(skt, protocol, peer, self, number, self.reactor)
        else:
            transport = self._adopt(skt, protocol, peer, self.host_of(skt), self, number)
        protocol.makeConnection(transport)

    def host_of(self, skt: socket.socket) -> IAddress:
        """Our own end of an accepted connection."""
        return self._host

    def _shed(self, why: OSError) -> None:
        """Accept and close with the reserved descriptor until nobody waits."""
        shed = 0
        while shed < SHED_BOUND and self._reserve.release():
            try:
                self.socket.accept()[0].close()
                shed += 1
            except OSError:
                break
            finally:
                self._reserve.take()
        self._complain(
            "no descriptor left ({error}): {shed} connections closed",
            error=errorcode.get(why.errno or 0, why),
            shed=shed,
        )

    def _complain(self, text: str, **fields: object) -> None:
        held = self._limit.admit(self._seconds())
        if held is not None:
            self._log.warn("{host}: " + text, host=self._host, unlogged=held, **fields)

    def connectionLost(self, reason: Failure) -> None:
        """Withdraw the name first, while whoever tests it still finds it alive, then close."""
        try:
            if self._onClosing is not None:
                self._onClosing()
        except OSError:
            self._log.failure("{host}: its name could not be withdrawn", host=self._host)
        self.retire()
        self._reserve.release()
        self._realPortNumber = None
        BasePort.connectionLost(self, reason)
        self.connected = False
        self._closeSocket(True)  # type: ignore[no-untyped-call]
        del self.socket
        del self.fileno
        self._log.info("{host} closed", host=self._host)
        try:
            self.factory.doStop()  # type: ignore[union-attr]
        finally:
            self.disconnecting = False

    def getHost(self) -> IAddress:
        """The address that was given for this port."""
        return self._host
