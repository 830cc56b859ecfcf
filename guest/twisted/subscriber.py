"""The Twisted shell of a guest: one connection to the proxy, one application."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from guest.core.data_link import BulkPolicy
from guest.core.errors import (
    ProtocolBroken,
    ProxyLeft,
    ProxySilent,
    RegistrationRefused,
    RequestAborted,
    SubscriptionCopied,
    SubscriptionEnded,
    SubscriptionRefused,
    SubscriptionReplaced,
)
from guest.core.framework import Framework
from guest.core.request import Request
from guest.core.route import Registration, Registrations, RegistrationState, Route
from guest.core.welcome import Welcome
from guest.twisted.data_connection import DataPool
from guest.twisted.exchanges import IN_EXCHANGE, Exchanges, words
from guest.twisted.one_shot import OneShotObserver
from subproxy.wire import messages as m
from subproxy.wire.connection import Broken, Ignored, WireConnection, limits_info
from subproxy.wire.states import Role, Side

if TYPE_CHECKING:
    from guest.twisted.factory import SubscriberFactory

EVENTS_A_TURN = 64
"""How many messages one connection handles before everybody else has had a turn."""

GREETING = 10.0
"""How long the proxy may take to say C{welcome}, in seconds."""

GRACE = 1.0
"""
After a time-out, how long to read on before the proxy is given up, in seconds: if this
process was stopped for long, what the proxy has sent meanwhile has not been read yet.
"""

TOO_FAST = 1.0
"""How long to wait before a route is asked for again that was C{too-fast}, in seconds."""

LINGER = 2.0
"""How long to wait for the proxy's C{bye} after ours, and for C{unregistered}, in seconds."""


def twisted_framework(clock: Any) -> Framework:
    """Twisted's way to wait."""
    return Framework(
        Deferred, lambda deferred, value: deferred.callback(value), lambda f: clock.callLater(0, f)
    )


@implementer(IPushProducer)
class SubscriberProtocol(Protocol):
    """
    One subscription: an application answers requests over one connection to the proxy.

    Subclass it and write L{requestReceived}; override the other hooks as you like. There is one
    instance a connection: what must outlive it belongs on C{self.factory}.

    @ivar factory: the L{SubscriberFactory} that made it.
    @ivar connection: the state of the wire.
    """

    _log = Logger()
    factory: SubscriberFactory
    connection: WireConnection

    # What an application writes.

    def requestReceived(self, request: Request) -> Any:
        """
        Answer a request.

        @return: a L{Response}, or a coroutine or a Deferred with one. If the client leaves
            before, that coroutine or Deferred is cancelled.
        @raise Exception: the client gets 500, the log gets the traceback.
        """
        raise NotImplementedError(f"{type(self).__name__}.requestReceived")

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

    def register(self, host: bytes | str, path: bytes | str = b"/.*") -> Deferred[Route]:
        """
        Ask for a route: RE2 patterns of the whole host and of the whole path.

        @return: fires with the L{Route} when requests may come; fails with
            L{RegistrationRefused}, or with L{SubscriptionEnded} if the connection is over.
        """
        route = Route(_bytes(host), _bytes(path))
        if self.connection.ours is not Side.OPEN:
            return fail(self._ended())
        deferred: Deferred[Route] = Deferred()
        self._ask(route, deferred)
        return deferred

    def _ask(self, route: Route, waiter: Deferred[Route]) -> None:
        registration = self._registrations.add(route)
        registration.waiter = waiter
        self._say(m.Register(registration.reference, route.host, route.path))

    def unregister(self, host: bytes | str, path: bytes | str = b"/.*") -> Deferred[None]:
        """
        Give a route back. Requests that were sent before may still come.

        @return: fires when no more come; fails with C{KeyError} if there is no such
            registration, or with L{SubscriptionEnded}.
        """
        if self.connection.ours not in (Side.OPEN, Side.DRAINING):
            return fail(self._ended())
        registration = self._registrations.find(_bytes(host), _bytes(path))
        if registration is None or registration.standing is not RegistrationState.STANDS:
            return fail(KeyError(f"no registration of host={host!r} path={path!r}"))
        deferred: Deferred[None] = Deferred()
        registration.waiter = deferred
        self._take_back(registration)
        return deferred

    def drain(self) -> Deferred[None]:
        """
        Leave in good order: take nothing new, finish what is under way, say bye.

        @return: fires when the connection is gone.
        """
        if self.connection.ours is Side.OPEN and self.connection.theirs is not Side.IDLE:
            deadline = self.factory.drainTimeout
            self._say(m.Drain({b"deadline": int(deadline * 1000)}))
            # The proxy answers in order: once it has answered these, all that it sent
            # before it knew of the drain is here.
            for registration in self._registrations:
                if registration.standing is not RegistrationState.LEAVING:
                    self._take_back(registration)
            self._after(deadline, self._bye, b"timeout")
            self._after(LINGER, self._unregistered_all)
            self._bye_if_idle()
        elif self.connection.ours is Side.OPEN:
            self._bye(b"done")
        return self.whenLost()

    # What its service wants to know.

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
        if self._registrations.asked:
            idle.callback(False)
        else:
            self._after(delay, lambda: idle.callback(not self._registrations.asked))
        return idle

    def whenLost(self) -> Deferred[None]:
        """Fires when the connection is gone."""
        return self._gone.wait()

    # The connection.

    def connectionMade(self) -> None:
        """Say hello, and register what the factory has without waiting for an answer."""
        factory = self.factory
        self._clock = factory.clock
        self._registrations = Registrations()
        self._postponed: list[tuple[Route, Deferred[Route]]] = []
        self._timers: list[Any] = []
        self._reason: Exception | None = None
        self._data: DataPool | None = None
        self._welcomed: OneShotObserver[Welcome | None] = OneShotObserver()
        self._leaving: OneShotObserver[Exception | None] = OneShotObserver()
        self._gone: OneShotObserver[None] = OneShotObserver()
        self._timeout = GREETING
        self._heard = self._clock.seconds()
        self.connection = WireConnection(Role.GUEST, factory.limits)
        self._exchanges = Exchanges(
            self.connection,
            twisted_framework(self._clock),
            self._flush,
            self.requestReceived,
            partial(self._hook, self.requestAborted),
            self._bye_if_idle,
        )
        self._transport().registerProducer(self, True)
        self._say(m.Hello({**limits_info(factory.limits), **factory.hello()}))
        for route in factory.routes:
            self._register_own(route)
        self._watchdog = self._after(self._timeout, self._watch)

    def _register_own(self, route: Route) -> None:
        # What can go wrong here, the hooks and the announcer have been told.
        self.register(route.host, route.path).addErrback(lambda _: None)

    def dataReceived(self, data: bytes) -> None:
        """Handle what came, but not so much that others starve."""
        self._heard = self._clock.seconds()
        self.connection.feed(data)
        self._work()

    def _work(self) -> None:
        for _ in range(EVENTS_A_TURN):
            event = self.connection.next_event()
            if event is None:
                break
            if self.connection.ours is not Side.DONE or type(event) in _TO_THE_END:
                handler = IN_EXCHANGE.get(type(event))
                if handler is not None:
                    handler(self._exchanges, event)
                else:
                    _HANDLERS[type(event)](self, event)
        else:
            self._transport().pauseProducing()
            self._after(0, self._go_on)
        self._flush()

    def _go_on(self) -> None:
        self._transport().resumeProducing()
        self._work()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """All that is under way is over."""
        why = reason if self._reason is None else _failure(self._reason)
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        for registration in self._registrations:
            waiter, registration.waiter = registration.waiter, None
            if waiter is not None:
                waiter.errback(self._ended())
        postponed, self._postponed = self._postponed, []
        for _, waiter in postponed:
            waiter.errback(self._ended())
        self.connection.ours = Side.DONE
        self._exchanges.abandon_all()
        if self._data is not None:
            self._data.retire()
        self._hook(self.subscriptionLost, why)
        self._welcomed.fire(None)
        self._leaving.fire(why.value)  # type: ignore[arg-type]
        self._gone.fire(None)

    def pauseProducing(self) -> None:
        """The transport holds enough: streams wait."""
        self._exchanges.writable = False

    def resumeProducing(self) -> None:
        """The transport takes more."""
        self._exchanges.writable = True
        self._exchanges.wake()

    def stopProducing(self) -> None:
        """The transport is gone; L{connectionLost} follows."""
        self._exchanges.writable = False

    def _transport(self) -> Any:
        return self.transport

    def _say(self, message: m.Message) -> None:
        self.connection.send(message)
        self._flush()

    def _flush(self) -> None:
        data = self.connection.data_to_send()
        if data:
            self._transport().write(data)

    def _after(self, delay: float, function: Callable[..., object], *args: object) -> Any:
        self._timers = [each for each in self._timers if each.active()]
        timer = self._clock.callLater(delay, function, *args)
        self._timers.append(timer)
        return timer

    def _ended(self) -> Exception:
        return self._reason or SubscriptionEnded("there is no subscription")

    def _hook(self, hook: Callable[..., object], *args: object) -> None:
        try:
            hook(*args)
        except Exception:
            self._log.failure("{hook} of the application failed", hook=hook.__name__)

    # Is the proxy there?

    def _watch(self) -> None:
        silent = self._clock.seconds() - self._heard
        if silent < self._timeout:
            self._watchdog = self._after(self._timeout - silent, self._watch)
        else:
            self._watchdog = self._after(GRACE, self._give_up, self._heard)

    def _give_up(self, heard: float) -> None:
        if self._heard != heard:
            self._watch()
            return
        self._reason = ProxySilent(f"nothing came from the proxy for {self._timeout:g} seconds")
        self._transport().abortConnection()

    def _pinged(self, ping: m.Ping) -> None:
        self._say(m.Pong(ping.nonce, self.factory.pong()))

    # The subscription.

    def _welcome(self, message: m.Welcome) -> None:
        welcome = Welcome.of(message.info)
        self._timeout = welcome.timeout
        self._watchdog.cancel()
        self._watch()
        if self.factory.data is not None and self.connection.bulk:
            self._data = self.factory.data.another()
            self._exchanges.bulk = BulkPolicy(self._data, message.info[b"bulk"], self._run)
        self._hook(self.subscribed, welcome)
        self._welcomed.fire(welcome)

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        done = Deferred.fromCoroutine(coroutine)
        done.addErrback(lambda failure: self._log.failure("a bug", failure))

    def _registered(self, message: m.Registered) -> None:
        registration = self._registrations.get(message.reference)
        if registration is None or registration.standing is not RegistrationState.ASKED:
            return
        registration.standing = RegistrationState.STANDS
        waiter, registration.waiter = registration.waiter, None
        route = registration.route
        self._hook(self.registered, route.host, route.path)
        self._hook(self.factory.announcer.registered, self, route)
        waiter.callback(route)

    def _refused(self, message: m.Refused) -> None:
        code, reason = words(message.code), words(message.reason)
        if not message.reference:
            kind = SubscriptionReplaced if code == "replaced" else SubscriptionRefused
            self._reason = kind(code, reason)
            self._leaving.fire(self._reason)
            return
        registration = self._registrations.remove(message.reference)
        if registration is None:
            return
        route = registration.route
        waiter, registration.waiter = registration.waiter, None
        if code == "too-fast" and registration.standing is RegistrationState.ASKED:
            self._postpone(route, waiter)
            return
        refusal = RegistrationRefused(route.host, route.path, code, reason)
        self._hook(self.refused, refusal)
        self._hook(self.factory.announcer.refused, self, refusal)
        if waiter is not None:
            waiter.errback(refusal)
        self._bye_if_idle()

    def _postpone(self, route: Route, waiter: Deferred[Route]) -> None:
        """The proxy takes no more routes at the moment: ask again later, for all of those."""
        if not self._postponed:
            self._after(TOO_FAST, self._ask_again)
        self._postponed.append((route, waiter))

    def _ask_again(self) -> None:
        if self.connection.ours is Side.OPEN:
            postponed, self._postponed = self._postponed, []
            for route, waiter in postponed:
                self._ask(route, waiter)

    def _take_back(self, registration: Registration) -> None:
        registration.standing = RegistrationState.LEAVING
        self._say(m.Unregister(registration.reference))

    def _unregistered(self, message: m.Unregistered) -> None:
        registration = self._registrations.remove(message.reference)
        if registration is not None and registration.waiter is not None:
            waiter, registration.waiter = registration.waiter, None
            waiter.callback(None)
        self._bye_if_idle()

    def _unregistered_all(self) -> None:
        """The proxy has had its time to answer."""
        for registration in self._registrations:
            self._unregistered(m.Unregistered(registration.reference))

    # The end.

    def _drained(self, message: m.Drain) -> None:
        self._leaving.fire(None)
        self._bye_if_idle()

    def _bye_if_idle(self) -> None:
        connection = self.connection
        if connection.exchanges or self._exchanges:
            return
        if connection.theirs is Side.DRAINING or (
            connection.ours is Side.DRAINING and not self._registrations
        ):
            self._bye(b"done")

    def _bye(self, code: bytes) -> None:
        if self.connection.ours is not Side.DONE:
            self._say(m.Bye(code))
            self._after(LINGER, self._close)
            self._exchanges.abandon_all()

    def _bye_came(self, message: m.Bye) -> None:
        if self.connection.ours is not Side.DONE:
            code, reason = words(message.code), words(message.reason)
            self._reason = self._reason or _LEFT.get(code, ProxyLeft)(code, reason)
            self._leaving.fire(self._reason)
            self._say(m.Bye())
            self._exchanges.abandon_all()
        self._close()

    def _broke(self, event: Broken) -> None:
        self._log.error("The proxy broke the protocol: {error}", error=event.error)
        self._reason = ProtocolBroken(event.error.code.decode(), str(event.error))
        self._leaving.fire(self._reason)
        self._bye(event.error.code)
        self._after(LINGER, self._close)
        self._exchanges.abandon_all()

    def _close(self) -> None:
        self._flush()
        transport = self._transport()
        transport.unregisterProducer()
        transport.loseConnection()

    def _ignored(self, message: object) -> None:
        """Nothing for us."""


_HANDLERS = cast(
    "dict[type, Callable[[SubscriberProtocol, Any], None]]",
    {
        m.Welcome: SubscriberProtocol._welcome,
        m.Registered: SubscriberProtocol._registered,
        m.Unregistered: SubscriberProtocol._unregistered,
        m.Refused: SubscriberProtocol._refused,
        m.Ping: SubscriberProtocol._pinged,
        m.Drain: SubscriberProtocol._drained,
        m.Bye: SubscriberProtocol._bye_came,
        Broken: SubscriberProtocol._broke,
        Ignored: SubscriberProtocol._ignored,
    },
)

_LEFT = {"replaced": SubscriptionReplaced, "again": SubscriptionCopied}
"""What C{bye} means, by its code; otherwise L{ProxyLeft}."""

_TO_THE_END = frozenset({m.Bye, Broken})
"""What still matters when we have said our last."""


def _bytes(pattern: bytes | str) -> bytes:
    return pattern.encode() if isinstance(pattern, str) else pattern


def _failure(error: Exception) -> Failure:
    return Failure(error)
