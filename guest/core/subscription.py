"""
One connection to the proxy, from C{hello} to its end: what every shell has in common.

A shell gives it bytes and time (L{guest.core.runtime.Runtime}), writes what it says, and hears
of what happens. Imports no framework.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from guest.core.data_link import BulkPolicy
from guest.core.errors import (
    ProtocolBroken,
    ProxyLeft,
    ProxySilent,
    RequestAborted,
    SubscriptionCopied,
    SubscriptionEnded,
    SubscriptionRefused,
    SubscriptionReplaced,
    SubscriptionRestored,
)
from guest.core.exchanges import IN_EXCHANGE, Exchanges, words
from guest.core.process_share import ProcessShare, SubscriptionDivided
from guest.core.profile import SubscriberProfile
from guest.core.request import Request
from guest.core.route import Route
from guest.core.route_registrar import RouteRegistrar
from guest.core.runtime import Runtime, TimerGroup
from guest.core.shell import ByteStream, SubscriptionListener
from guest.core.welcome import Welcome
from subproxy.wire import messages as m
from subproxy.wire.connection import Broken, Ignored, WireConnection, limits_info
from subproxy.wire.states import Role, Side

EVENTS_A_TURN = 64
"""How many messages one connection handles before everybody else has had a turn."""

GREETING = 10.0
"""How long the proxy may take to say C{welcome}, in seconds."""

GRACE = 1.0
"""
After a time-out, how long to read on before the proxy is given up, in seconds: if this
process was stopped for long, what the proxy has sent meanwhile has not been read yet.
"""

LINGER = 2.0
"""How long to wait for the proxy's C{bye} after ours, and for C{unregistered}, in seconds."""


class GuestSubscription:
    """
    One subscription over one connection.

    @ivar connection: the state of the wire.
    @ivar exchanges: the requests that are under way.
    @ivar routes: those that it asks for.
    @ivar data: dials its data connections; None until the proxy has offered them.
    """

    def __init__(
        self,
        runtime: Runtime,
        profile: SubscriberProfile,
        stream: ByteStream,
        listener: SubscriptionListener,
        share: ProcessShare | None = None,
    ) -> None:
        """
        Take a connection that has just been made; L{begin} says hello.

        @param share: what it is of its instance; the whole, as far as anybody knows, if None.
        """
        self._share = share or ProcessShare()
        self._runtime = runtime
        self._profile = profile
        self._stream = stream
        self._write = stream.write
        self._listener = listener
        self._timers = TimerGroup(runtime)
        self._reason: Exception | None = None
        self._left = False
        self.data: Any = None
        self._timeout = GREETING
        self._heard = runtime.seconds()
        self.connection = WireConnection(Role.GUEST, profile.limits)
        self.exchanges = Exchanges(
            self.connection,
            runtime,
            self.flush,
            listener.answer,
            self._aborted,
            self._bye_if_idle,
            listener.tunnel,
        )
        self.routes = RouteRegistrar(
            *(self.connection, runtime, self._timers, profile, listener, self._say, self.ended)
        )

    def begin(self) -> None:
        """Say hello, and register what the profile has without waiting for an answer."""
        profile = self._profile
        said = self._share.hello(profile.hello())
        self._say(m.Hello({**limits_info(profile.limits), **said}))
        if not self._share.waits(profile.concurrency):
            self.routes.register_all()
        self._watchdog = self._timers.after(self._timeout, self._watch)

    # What an application asks for.

    def register(self, route: Route) -> Any:
        """
        Ask for a route.

        @return: a future: the L{Route} when requests may come. It fails with
            L{RegistrationRefused}, or with L{SubscriptionEnded} if the connection is over.
        """
        return self.routes.register(route)

    def unregister(self, host: bytes, path: bytes) -> Any:
        """
        Give a route back.

        @return: a future: None when no more requests come for it. It fails with C{KeyError} if
            there is no such registration, or with L{SubscriptionEnded}.
        """
        return self.routes.unregister(host, path)

    def withdraw(self, route: Route) -> Any:
        """
        Give a route back wherever its registration stands, also before the proxy has answered.

        @return: a future: None when no more requests come for it; at once if it is not
            registered here.
        """
        return self.routes.withdraw(route)

    def drain(self) -> None:
        """Leave in good order: take nothing new, finish what is under way, say bye."""
        if self.connection.ours is Side.OPEN and self.connection.theirs is not Side.IDLE:
            deadline = self._profile.drain_timeout
            self._say(m.Drain({b"deadline": int(deadline * 1000)}))
            # The proxy answers in order: once it has answered these, all that it sent
            # before it knew of the drain is here.
            self.routes.give_all_back()
            self._timers.after(deadline, self.bye, b"timeout")
            self._timers.after(LINGER, self._unregistered_all)
            self._bye_if_idle()
        elif self.connection.ours is Side.OPEN:
            self.bye(b"done")

    def when_idle(self, delay: float, told: Callable[[bool], object]) -> None:
        """
        Tell whether this connection has asked for no route, C{delay} seconds from now.

        At once if it has asked for one; never if it is gone before.
        """
        if self.routes.registrations.asked:
            told(False)
        else:
            self._timers.after(delay, lambda: told(not self.routes.registrations.asked))

    def ended(self) -> Exception:
        """Why there is no subscription."""
        return self._reason or SubscriptionEnded("there is no subscription")

    # The connection.

    def data_received(self, data: bytes) -> None:
        """Handle what came, but not so much that others starve."""
        self._heard = self._runtime.seconds()
        self.connection.feed(data)
        self._work()

    def _work(self) -> None:
        connection = self.connection
        lower = self.exchanges.lower_names
        for _ in range(EVENTS_A_TURN):
            found = connection.next_whole(lower)
            if found is not None:
                self.exchanges.whole(found)
                continue
            event = connection.next_event()
            if event is None:
                break
            if connection.ours is not Side.DONE or type(event) in _TO_THE_END:
                handler = IN_EXCHANGE.get(type(event))
                if handler is not None:
                    handler(self.exchanges, event)
                else:
                    _HANDLERS[type(event)](self, event)
        else:
            self._stream.pause()
            self._timers.after(0, self._go_on)
        if Side.DRAINING in (connection.ours, connection.theirs):
            self._bye_if_idle()
        self.flush()

    def _go_on(self) -> None:
        self._stream.resume()
        self._work()

    def connection_lost(self, reason: Exception) -> Exception:
        """
        All that is under way is over.

        @param reason: what the connection ended with.
        @return: why the subscription is over.
        """
        why = self._reason or reason
        self._timers.cancel_all()
        self.routes.lost()
        self.connection.ours = Side.DONE
        self.exchanges.abandon_all()
        if self.data is not None:
            self.data.retire()
        return why

    def writable(self, takes_more: bool) -> None:
        """The transport takes more, or holds enough: then streams wait."""
        self.exchanges.writable = takes_more
        if takes_more:
            self.exchanges.wake()

    def flush(self) -> None:
        """Write what was said."""
        data = self.connection.data_to_send()
        if data:
            self._write(data)

    def _say(self, message: m.Message) -> None:
        self.connection.send(message)
        self.flush()

    def hook(self, hook: Callable[..., object], *args: object) -> None:
        """Call what is an application's: what it raises is logged."""
        try:
            hook(*args)
        except Exception as error:
            name = getattr(hook, "__name__", str(hook))
            self._runtime.log.failure("{hook} of the application failed", error, hook=name)

    def _aborted(self, request: Request, reason: RequestAborted) -> None:
        self.hook(self._listener.aborted, request, reason)

    def leave(self, reason: Exception | None) -> None:
        """Tell, once, that nothing new will come."""
        if not self._left:
            self._left = True
            self._listener.leaving(reason)

    # Is the proxy there?

    def _watch(self) -> None:
        silent = self._runtime.seconds() - self._heard
        if silent < self._timeout:
            self._watchdog = self._timers.after(self._timeout - silent, self._watch)
        else:
            self._watchdog = self._timers.after(GRACE, self._give_up, self._heard)

    def _give_up(self, heard: float) -> None:
        if self._heard != heard:
            self._watch()
            return
        self._reason = ProxySilent(f"nothing came from the proxy for {self._timeout:g} seconds")
        self._stream.abort()

    def _pinged(self, ping: m.Ping) -> None:
        self._say(m.Pong(ping.nonce, self._profile.pong()))

    # The subscription.

    def _welcome(self, message: m.Welcome) -> None:
        welcome = Welcome.of(message.info)
        epoch = self._share.restored(message.info)
        if epoch is not None:
            self._profile.restored(epoch)
            self._reason = SubscriptionRestored("this machine goes on from a snapshot")
            self.leave(self._reason)
            self.drain()
            return
        waited = self._share.waits(self._profile.concurrency)
        if self._share.welcomed(message.info, self._profile.concurrency):
            self._reason = SubscriptionDivided("the proxy has another number of processes")
            self.leave(self._reason)
            self.drain()
            return
        if waited:
            self.routes.register_all()
        self._timeout = welcome.timeout
        self._watchdog.cancel()
        self._watch()
        if self._profile.data is not None and self.connection.bulk:
            self.data = self._profile.data.another()
            self.exchanges.bulk = BulkPolicy(self.data, message.info[b"bulk"], self._run)
        self._listener.subscribed(welcome)

    def _run(self, coroutine: Any) -> None:
        self._runtime.when_done(self._runtime.start(coroutine), self._ran)

    def _ran(self, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, self._runtime.cancelled):
            self._runtime.log.failure("a bug", error)

    def _registered(self, message: m.Registered) -> None:
        self.routes.registered(message)

    def _refused(self, message: m.Refused) -> None:
        if message.reference:
            self.routes.refused(message)
            self._bye_if_idle()
            return
        code, reason = words(message.code), words(message.reason)
        kind = SubscriptionReplaced if code == "replaced" else SubscriptionRefused
        self._reason = kind(code, reason)
        self.leave(self._reason)

    def _unregistered(self, message: m.Unregistered) -> None:
        self.routes.unregistered(message.reference)
        self._bye_if_idle()

    def _unregistered_all(self) -> None:
        self.routes.unregistered_all()
        self._bye_if_idle()

    # The end.

    def _drained(self, message: m.Drain) -> None:
        self.leave(None)
        self._bye_if_idle()

    def _bye_if_idle(self) -> None:
        connection = self.connection
        if connection.exchanges or self.exchanges:
            return
        if connection.theirs is Side.DRAINING or (
            connection.ours is Side.DRAINING and not self.routes.registrations
        ):
            self.bye(b"done")

    def bye(self, code: bytes) -> None:
        """Say our last."""
        if self.connection.ours is not Side.DONE:
            self._say(m.Bye(code))
            self._timers.after(LINGER, self._close)
            self.exchanges.abandon_all()

    def _bye_came(self, message: m.Bye) -> None:
        if self.connection.ours is not Side.DONE:
            code, reason = words(message.code), words(message.reason)
            self._reason = self._reason or _LEFT.get(code, ProxyLeft)(code, reason)
            self.leave(self._reason)
            self._say(m.Bye())
            self.exchanges.abandon_all()
        self._close()

    def _broke(self, event: Broken) -> None:
        self._runtime.log.error("The proxy broke the protocol: {error}", error=event.error)
        self._reason = ProtocolBroken(event.error.code.decode(), str(event.error))
        self.leave(self._reason)
        self.bye(event.error.code)
        self._timers.after(LINGER, self._close)
        self.exchanges.abandon_all()

    def _close(self) -> None:
        self.flush()
        self._stream.close()

    def _ignored(self, message: object) -> None:
        """Nothing for us."""


_HANDLERS = cast(
    "dict[type, Callable[[GuestSubscription, Any], None]]",
    {
        m.Welcome: GuestSubscription._welcome,
        m.Registered: GuestSubscription._registered,
        m.Unregistered: GuestSubscription._unregistered,
        m.Refused: GuestSubscription._refused,
        m.Ping: GuestSubscription._pinged,
        m.Drain: GuestSubscription._drained,
        m.Bye: GuestSubscription._bye_came,
        Broken: GuestSubscription._broke,
        Ignored: GuestSubscription._ignored,
    },
)

_LEFT = {"replaced": SubscriptionReplaced, "again": SubscriptionCopied}
"""What C{bye} means, by its code; otherwise L{ProxyLeft}."""

_TO_THE_END = frozenset({m.Bye, Broken})
"""What still matters when we have said our last."""
