"""The Twisted shell of a guest: one connection to the proxy, one application."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from guest.core.errors import RegistrationRefused, RequestAborted
from guest.core.process_share import ProcessShare
from guest.core.request import Request
from guest.core.route import Route
from guest.core.subscription import GuestSubscription
from guest.core.welcome import Welcome
from guest.twisted.one_shot import OneShotObserver
from guest.twisted.runtime import twisted_runtime
from subproxy.wire.connection import WireConnection

if TYPE_CHECKING:
    from guest.twisted.factory import SubscriberFactory


WEBSOCKET = b"websocket"
TLS = b"tls"


@implementer(IPushProducer)
class SubscriberProtocol(Protocol):
    """
    One subscription: an application answers requests over one connection to the proxy.

    Subclass it and write L{requestReceived}; override the other hooks as you like. There is one
    instance a connection: what must outlive it belongs on C{self.factory}.

    @ivar factory: the L{SubscriberFactory} that made it.
    @ivar connection: the state of the wire.
    @cvar tunnels: protocols for which clients may have tunnels, as C{Upgrade} names them: at most
        8, of 1 to 32 bytes. C{websocket} is one where L{webSocketReceived} is overridden, and
        C{tls} where L{tlsReceived} is.
    @ivar share: what it is of its instance, where a proxy has several processes.
    """

    factory: SubscriberFactory
    connection: WireConnection
    tunnels: tuple[bytes, ...] = ()
    share: ProcessShare | None = None

    # What an application writes.

    def requestReceived(self, request: Request) -> Any:
        """
        Answer a request.

        @return: a L{Response}, or a coroutine or a Deferred with one. If the client leaves
            before, that coroutine or Deferred is cancelled.
        @raise Exception: the client gets 500, the log gets the traceback.
        """
        raise NotImplementedError(f"{type(self).__name__}.requestReceived")

    def webSocketReceived(self, request: Request) -> Any:
        """
        Take a WebSocket, or refuse it.

        @return: a L{WebSocketAcceptance<guest.core.web_socket_acceptance.WebSocketAcceptance>}; or
            a L{Response}, which refuses; or a coroutine or a Deferred with either.
        @raise Exception: the client gets 500, the log gets the traceback.
        """
        return self.requestReceived(request)

    def tlsReceived(self, request: Request) -> Any:
        """
        Take the TLS of a client that the proxy passes through, or refuse it.

        For hosts that were registered with C{passthrough}. C{request.tls.sni} is the host.

        @return: a L{TlsAcceptance<guest.core.tls_acceptance.TlsAcceptance>}, or a
            L{TunnelAcceptance<guest.core.tunnel.TunnelAcceptance>} that has the bytes as they are;
            otherwise as of a WebSocket.
        """
        return self.requestReceived(request)

    def tunnelReceived(self, request: Request) -> Any:
        """
        Take a tunnel, or refuse it: C{request.tunnel} is the protocol that the client changes to.

        A WebSocket is given to L{webSocketReceived}, and TLS that is passed through to
        L{tlsReceived}, unless you override this.

        @return: a L{TunnelAcceptance<guest.core.tunnel.TunnelAcceptance>}; otherwise likewise.
        """
        if request.tunnel == WEBSOCKET:
            return self.webSocketReceived(request)
        if request.tunnel == TLS:
            return self.tlsReceived(request)
        return self.requestReceived(request)

    def subscribed(self, welcome: Welcome) -> None:
        """The proxy has taken us; the place to L{register} routes of one's own."""

    def registered(self, host: bytes, path: bytes) -> None:
        """Requests for that route may come from now on."""

    def refused(self, refusal: RegistrationRefused) -> None:
        """The proxy does not give us that route."""

    def requestAborted(self, request: Request, reason: RequestAborted) -> None:
        """Nobody waits any more for the answer to C{request}."""

    def subscriptionLost(self, reason: Failure) -> None:
        """The connection is gone; its C{value} says why, often a L{SubscriptionEnded}."""

    # What an application calls.

    def register(
        self, host: bytes | str, path: bytes | str = b"/.*", *, passthrough: bool = False
    ) -> Deferred[Route]:
        """
        Ask for a route: RE2 patterns of the whole host and of the whole path.

        @param passthrough: we want the TLS of clients itself (L{tlsReceived}).
        @return: fires with the L{Route} when requests may come; fails with
            L{RegistrationRefused}, or with L{SubscriptionEnded} if the connection is over.
        """
        route = Route(_bytes(host), _bytes(path), passthrough)
        deferred: Deferred[Route] = self._subscription.register(route)
        return deferred

    def unregister(self, host: bytes | str, path: bytes | str = b"/.*") -> Deferred[None]:
        """
        Give a route back. Requests that were sent before may still come.

        @return: fires when no more come; fails with C{KeyError} if there is no such
            registration, or with L{SubscriptionEnded}.
        """
        deferred: Deferred[None] = self._subscription.unregister(_bytes(host), _bytes(path))
        return deferred

    def drain(self) -> Deferred[None]:
        """
        Leave in good order: take nothing new, finish what is under way, say bye.

        @return: fires when the connection is gone.
        """
        self._subscription.drain()
        return self.whenLost()

    # What its service and its factory want to know.

    def tunnel_protocols(self) -> tuple[bytes, ...]:
        """The protocols for which clients may have tunnels."""
        kind, found = type(self), self.tunnels
        if kind.webSocketReceived is not SubscriberProtocol.webSocketReceived:
            found = (*found, WEBSOCKET)
        if kind.tlsReceived is not SubscriberProtocol.tlsReceived:
            found = (*found, TLS)
        return tuple(dict.fromkeys(found))

    def whenSubscribed(self) -> Deferred[Welcome | None]:
        """Fires when the proxy has taken us, with None if it never did."""
        return self._welcomed.wait()

    def whenLeaving(self) -> Deferred[Exception | None]:
        """
        Fires when no new requests will come over this connection.

        The value is None if the proxy drains, and otherwise says why the connection is over.
        """
        return self._leaving.wait()

    def when_idle(self, delay: float) -> Deferred[bool]:
        """
        Fires with whether this connection has asked for no route, C{delay} seconds from now.

        At once if it has asked for one; never if it is gone before.
        """
        idle: Deferred[bool] = Deferred()
        self._subscription.when_idle(delay, idle.callback)
        return idle

    def whenLost(self) -> Deferred[None]:
        """Fires when the connection is gone."""
        return self._gone.wait()

    # The connection.

    def connectionMade(self) -> None:
        """Say hello, and register what the factory has without waiting for an answer."""
        factory = self.factory
        self._share = self.share or ProcessShare()
        self._welcomed: OneShotObserver[Welcome | None] = OneShotObserver()
        self._leaving: OneShotObserver[Exception | None] = OneShotObserver()
        self._gone: OneShotObserver[None] = OneShotObserver()
        self._subscription = GuestSubscription(
            twisted_runtime(factory.clock),
            factory,
            _TwistedStream(self.transport),
            _Listener(self),
            self._share,
        )
        self.connection = self._subscription.connection
        self._transport().registerProducer(self, True)
        self._subscription.begin()

    def dataReceived(self, data: bytes) -> None:
        """Handle what came."""
        self._subscription.data_received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """All that is under way is over."""
        error: Any = reason.value
        why = self._subscription.connection_lost(error)
        self._subscription.hook(self.subscriptionLost, reason if why is error else Failure(why))
        self._welcomed.fire(None)
        self._leaving.fire(why)
        self._gone.fire(None)

    def pauseProducing(self) -> None:
        """The transport holds enough: streams wait."""
        self._subscription.writable(False)

    def resumeProducing(self) -> None:
        """The transport takes more."""
        self._subscription.writable(True)

    def stopProducing(self) -> None:
        """The transport is gone; L{connectionLost} follows."""
        self._subscription.writable(False)

    def _transport(self) -> Any:
        return self.transport


class _TwistedStream:
    """A transport (L{guest.core.shell.ByteStream})."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.write = transport.write
        self.pause = transport.pauseProducing
        self.resume = transport.resumeProducing
        self.abort = transport.abortConnection

    def close(self) -> None:
        self._transport.unregisterProducer()
        self._transport.loseConnection()


class _Listener:
    """The hooks of an application (L{guest.core.shell.SubscriptionListener})."""

    def __init__(self, protocol: SubscriberProtocol) -> None:
        self._protocol = protocol
        self.answer = protocol.requestReceived
        self.tunnel: Callable[[Request], Any] | None = protocol.tunnelReceived
        self.aborted = protocol.requestAborted

    def _hook(self, hook: Any, *args: object) -> None:
        self._protocol._subscription.hook(hook, *args)

    def subscribed(self, welcome: Welcome) -> None:
        self._hook(self._protocol.subscribed, welcome)
        self._protocol._welcomed.fire(welcome)

    def registered(self, route: Route) -> None:
        protocol = self._protocol
        self._hook(protocol.registered, route.host, route.path)
        self._hook(protocol.factory.announcer.registered, protocol, route)

    def refused(self, refusal: RegistrationRefused) -> None:
        protocol = self._protocol
        self._hook(protocol.refused, refusal)
        self._hook(protocol.factory.announcer.refused, protocol, refusal)

    def leaving(self, reason: Exception | None) -> None:
        self._protocol._leaving.fire(reason)


def _bytes(pattern: bytes | str) -> bytes:
    return pattern.encode() if isinstance(pattern, str) else pattern
