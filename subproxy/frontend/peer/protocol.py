"""
The serving end between two processes of a proxy: it has guests, and takes the part of one
(docs/protocol.md, "Peers").

It registers what its guests serve at the other process, which sends it requests as to any guest.
Only its own guests may answer these: a request goes from a process to another once.

Compiled a second time: L{subproxy.fastpath._peer} and L{subproxy.fastpath._peer_frames} (see
L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any
from typing import Protocol as Structure

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.balancing.member import Member
from subproxy.core.exchange import Exchange, RequestHead
from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.host_names import HostNames
from subproxy.core.http.normalise import normalise_host, normalise_path
from subproxy.core.http.upgrade import PASSTHROUGH, TLS, Upgrade
from subproxy.core.routing.route import Route
from subproxy.errors import ClientGone
from subproxy.frontend.peer.peer_data_pool import PeerDataPool
from subproxy.frontend.peer.stream import PeerStream
from subproxy.wire import messages as m
from subproxy.wire.connection import Broken, Violation, WireConnection, limits_info
from subproxy.wire.fields import Info
from subproxy.wire.info import passthrough, tls
from subproxy.wire.states import Role, Side

APPLICATION = b"subproxy"
"""What the processes of a proxy are called among themselves."""

TUNNELS = [b"websocket", TLS]
"""Protocols for which tunnels go from one process to another."""


class LocalDispatcher(Structure):
    """
    Who has an exchange answered by guests of this process.

    @ivar onward: or by those of another worker: it has come from another host.
    """

    @property
    def onward(self) -> bool:
        """See above."""

    def dispatch_here(self, exchange: Exchange) -> None:
        """As C{IDispatcher.dispatch}, but not by another process, and without rules of sites."""

    def goes_no_further(self, member: Member) -> bool:
        """Whether C{member} is another process, which what was passed on must not go to."""


def request_head(message: m.Request) -> RequestHead:
    """
    The request of a frame, for routing and for a guest.

    @raise ValueError: it is none, although another process of this proxy has sent it.
    """
    headers, info = message.headers, message.info
    length: int | None = None if message.body is None else len(message.body)
    kept = []
    host = b""
    for name, value in headers:
        lower = name.lower()
        if lower == b"content-length":
            length = int(value)
            continue
        if lower == b"host":
            host = value
        kept.append((name, value))
    tunnel = info.get(b"tunnel")
    return RequestHead(
        message.method,
        message.target,
        info.get(b"host") or normalise_host(host),
        info.get(b"path") or normalise_path(message.target.partition(b"?")[0]),
        kept,
        client=info.get(b"client", b""),
        scheme=info.get(b"scheme", b"http"),
        version=info.get(b"version", b"1.1"),
        request_id=info.get(b"id", b""),
        length=0 if tunnel is not None else length,
        expect=info.get(b"expect") is True,
        upgrade=_upgrade(tunnel),
        trailers=info.get(b"trailers") is True,
        tls=_passed_tls(info) if tunnel == TLS else None,
    )


def _promised(body: Info, told: int | None) -> tuple[bytes, int]:
    """
    The token and the length of a request's body that comes over a data connection.

    @param told: its length, as the head has it.
    @raise ValueError: it does not say them.
    """
    token, length = body.get(b"token"), body.get(b"length")
    if type(token) is not bytes or type(length) is not int or length < 1:
        raise ValueError("a body without token or length")
    if told is not None and told != length:
        raise ValueError("a body of another length than its head tells")
    return token, length


def _upgrade(tunnel: bytes | None) -> Upgrade | None:
    if tunnel == TLS:
        return PASSTHROUGH
    return None if tunnel is None else Upgrade((tunnel,))


def _passed_tls(info: Info) -> ClientTls:
    """What is known of TLS that is passed through: what the client has offered."""
    said = tls(info)
    found = ClientTls(HostNames(()), None if said is None else said.sni)
    found.version = b"" if said is None else said.version
    return found


@implementer(IPushProducer)
class PeerProtocol(Protocol):
    """
    One other process, which asks.

    @ivar wire: the protocol state.
    @ivar writable: the other process reads what is written.
    @ivar data: what data connections to it are had from; None: there are none.
    @ivar bulk: bytes from which it wants a body over one; None: it wants none so.
    """

    _log = Logger()
    transport: Any

    def __init__(
        self,
        dispatcher: LocalDispatcher,
        process: int,
        served: Iterable[Route],
        host: bytes = b"-",
        instance: str = "",
        data: PeerDataPool | None = None,
    ) -> None:
        """
        Prepare.

        @param process: which of the proxy's processes this is.
        @param served: what its guests serve now.
        @param host: what this host is called, where the other one is another host.
        @param instance: what this process is called there, on all its connections.
        @param data: what data connections to the other one are had from, where there are any.
        """
        self.wire = WireConnection(Role.GUEST)
        self.writable = True
        self.data = data
        self.bulk: int | None = None
        self._dispatcher = dispatcher
        self._hello: Info = {
            b"application": APPLICATION,
            b"instance": (instance or secrets.token_hex(8)).encode(),
            b"tunnel": TUNNELS,
            b"peer": {b"host": host, b"process": process},
        }
        if data is not None:
            self._hello[b"bulk"] = True
            data.emptied = self._look_whether_idle
        self._served = dict.fromkeys(served, False)
        self._references: dict[Route, int] = {}
        self._waking: set[Route] = set()
        self._last = 0
        self._streams: dict[int, PeerStream] = {}
        self._in_turn = False
        self._gone: Deferred[None] | None = None
        self._idle: Deferred[None] | None = None

    def connectionMade(self) -> None:
        """Say who we are, and what we have."""
        self.transport.registerProducer(self, True)
        self.wire.send(m.Hello({**limits_info(self.wire.limits), **self._hello}))
        for route, wakes in self._served.items():
            self.serve(route, wakes)
        self.flush()

    # What this process has.

    def serve(self, route: Route, wakes: bool = False) -> None:
        """A guest of ours serves C{route}; or a machine would, which is started for who asks."""
        if self.wire.ours is not Side.OPEN:
            return
        if route in self._references:
            if wakes is (route in self._waking):
                return
            self.withdraw(route)
        self._last += 1
        self._references[route] = self._last
        if wakes:
            self._waking.add(route)
        info: Info = {b"passthrough": True} if route.passthrough else {}
        if wakes:
            info[b"wakes"] = True
        self.wire.send(m.Register(self._last, route.host.source, route.path.source, info))
        self.flush()

    def withdraw(self, route: Route) -> None:
        """None does any more."""
        reference = self._references.pop(route, None)
        self._waking.discard(route)
        if reference is not None and self.wire.ours in (Side.OPEN, Side.DRAINING):
            self.wire.send(m.Unregister(reference))
            self.flush()

    def drain(self) -> None:
        """Take nothing new."""
        if self.wire.ours is Side.OPEN:
            self.wire.send(m.Drain())
            self.flush()

    def when_gone(self) -> Deferred[None]:
        """Fires when the other process has closed the connection. To be asked for once."""
        gone = self._gone = Deferred()
        if not self.connected:
            gone.callback(None)
        return gone

    def when_idle(self) -> Deferred[None]:
        """Fires when nothing is under way. To be asked for once."""
        idle = self._idle = Deferred()
        self._look_whether_idle()
        return idle

    @property
    def under_way(self) -> int:
        """How many requests are, and bodies that were sent and have not come."""
        return len(self._streams) + (0 if self.data is None else self.data.unfinished)

    def _look_whether_idle(self) -> None:
        if self._idle is not None and not self.under_way:
            idle, self._idle = self._idle, None
            idle.callback(None)

    # The connection.

    def dataReceived(self, data: bytes) -> None:
        """The other process said something."""
        self.bytes_received(data)

    def bytes_received(self, data: bytes) -> None:
        """Some of what it says came."""
        self.frames_received(data)

    def frames_received(self, data: bytes) -> None:
        """The wire is to have C{data}."""
        self.wire.feed(data)
        self._in_turn = True
        try:
            while (event := self.wire.next_event()) is not None:
                self._take(event)
        finally:
            self._in_turn = False
        self.flush()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Nobody waits for any answer."""
        self.connected = 0
        self.wire.discard()
        # The last ones first: else one that waits would get the place of one that is cancelled.
        for number in sorted(self._streams, reverse=True):
            stream = self._streams.get(number)
            if stream is not None:
                stream.cancel(ClientGone())
        self._streams.clear()
        if self.data is not None:
            self.data.retire()
        self._look_whether_idle()
        if self._gone is not None and not self._gone.called:
            self._gone.callback(None)

    def flush(self) -> None:
        """Write what was said, unless a turn is under way."""
        if not self._in_turn:
            data = self.wire.data_to_send()
            if data:
                self.transport.write(data)

    def over(self, number: int) -> None:
        """That exchange needs nothing more."""
        self._streams.pop(number, None)
        self._look_whether_idle()

    def pauseProducing(self) -> None:
        """The other process does not read as fast as we write."""
        self.writable = False

    def resumeProducing(self) -> None:
        """It reads again."""
        self.writable = True
        for stream in list(self._streams.values()):
            stream.credit()

    def stopProducing(self) -> None:
        """The transport is going: L{connectionLost} says the rest."""

    def _take(self, event: Any) -> None:
        match event:
            case m.Request():
                self._request(event)
            case m.Body():
                stream = self._streams.get(event.exchange)
                if stream is not None:
                    stream.body(event.data)
                else:
                    self.wire.consumed(event.exchange, len(event.data))
            case m.End():
                stream = self._streams.get(event.exchange)
                if stream is not None:
                    stream.end(event)
            case m.Connect():
                stream = self._streams.get(event.exchange)
                if stream is not None:
                    stream.connect(event.token)
            case m.Move():
                stream = self._streams.get(event.exchange)
                if stream is not None:
                    stream.moved(event.length)
            case m.Welcome():
                self.bulk = event.info.get(b"bulk")
            case m.Credit():
                stream = self._streams.get(event.exchange)
                if stream is not None:
                    stream.credit()
            case m.Abort():
                self._cancelled(event.exchange)
            case Violation():
                self._cancelled(event.exchange)
            case m.Registered():
                self._registered(event)
            case m.Ping():
                self.wire.send(m.Pong(event.nonce))
            case m.Refused():
                self._log.error("another process refuses: {reason}", reason=event.reason)
            case m.Bye():
                self.transport.loseConnection()
            case Broken():
                self._log.error("another process broke the protocol: {error}", error=event.error)
                self.transport.abortConnection()

    def _registered(self, message: m.Registered) -> None:
        """A process of an older version takes a route for TLS as one for HTTP."""
        for route, reference in self._references.items():
            if reference == message.reference:
                if route.passthrough and not passthrough(message.info):
                    self.withdraw(route)
                return

    def _request(self, message: m.Request) -> None:
        number = message.exchange
        body: Any = message.body
        token: bytes | None = None
        try:
            request = request_head(message)
            if isinstance(body, dict):
                if self.data is None:
                    raise ValueError("a body over a data connection, of which there are none")
                token, request.length = _promised(body, request.length)
                body = None
        except ValueError as error:
            self.wire.send(m.Abort(number, b"protocol", str(error).encode()[:1024]))
            return
        stream = self._streams[number] = PeerStream(self, number, request, body, token)
        self._dispatcher.dispatch_here(stream.exchange)
        stream.dispatched()

    def _cancelled(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.cancel(ClientGone())
        self._look_whether_idle()
