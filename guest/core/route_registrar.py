"""What one connection asks for: its routes, from C{register} until the proxy has let go of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from guest.core.errors import RegistrationRefused, SubscriptionEnded
from guest.core.exchanges import words
from guest.core.profile import SubscriberProfile
from guest.core.route import Registration, Registrations, RegistrationState, Route
from guest.core.runtime import Runtime, TimerGroup
from guest.core.shell import SubscriptionListener
from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection
from subproxy.wire.info import passthrough
from subproxy.wire.states import Side

TOO_FAST: Final = 1.0
"""How long to wait before a route is asked for again that was C{too-fast}, in seconds."""

_GIVEN_BACK: Final = "the route was given back"

_NO_PASSTHROUGH: Final = "the proxy knows nothing of TLS that is passed through"


class RouteRegistrar:
    """
    The routes of one connection.

    @ivar registrations: those that were asked for, and are not given back.
    """

    def __init__(
        self,
        connection: WireConnection,
        runtime: Runtime,
        timers: TimerGroup,
        profile: SubscriberProfile,
        listener: SubscriptionListener,
        say: Callable[[m.Message], None],
        ended: Callable[[], Exception],
    ) -> None:
        """
        None is asked for so far.

        @param timers: those of the connection.
        @param say: sends a message.
        @param ended: why the subscription is over.
        """
        self.registrations = Registrations()
        self._connection = connection
        self._runtime = runtime
        self._timers = timers
        self._profile = profile
        self._listener = listener
        self._say = say
        self._ended = ended
        self._postponed: list[tuple[Route, Any]] = []

    # What an application asks for.

    def register(self, route: Route) -> Any:
        """See L{guest.core.subscription.GuestSubscription.register}."""
        waiter = self._runtime.future()
        if self._connection.ours is Side.OPEN:
            self._ask(route, waiter)
        else:
            self._runtime.reject(waiter, self._ended())
        return waiter

    def register_all(self) -> None:
        """Ask for the routes of the profile; what can go wrong, the listener is told."""
        for route in self._profile.routes:
            self._ask(route, None)

    def _ask(self, route: Route, waiter: Any) -> None:
        registration = self.registrations.add(route, waiter)
        self._say(self._profile.register(registration.reference, route))

    def unregister(self, host: bytes, path: bytes) -> Any:
        """See L{guest.core.subscription.GuestSubscription.unregister}."""
        waiter = self._runtime.future()
        if not self._speaks:
            self._runtime.reject(waiter, self._ended())
            return waiter
        registration = self.registrations.find(host, path)
        if registration is None or registration.standing is not RegistrationState.STANDS:
            missing = KeyError(f"no registration of host={host!r} path={path!r}")
            self._runtime.reject(waiter, missing)
            return waiter
        registration.waiter = waiter
        self._give_back(registration)
        return waiter

    def withdraw(self, route: Route) -> Any:
        """See L{guest.core.subscription.GuestSubscription.withdraw}."""
        done = self._runtime.future()
        for each, waiter in self._postponed:
            if each == route:
                self._reject(waiter, SubscriptionEnded(_GIVEN_BACK))
        self._postponed = [each for each in self._postponed if each[0] != route]
        registration = self.registrations.find(route.host, route.path)
        if registration is None or not self._speaks:
            self._runtime.resolve(done, None)
            return done
        waiter, registration.waiter = registration.waiter, done
        self._reject(waiter, SubscriptionEnded(_GIVEN_BACK))
        self._give_back(registration)
        return done

    def give_all_back(self) -> None:
        """Give back whatever stands, or is asked for."""
        for registration in self.registrations:
            if registration.standing is not RegistrationState.LEAVING:
                waiter, registration.waiter = registration.waiter, None
                self._reject(waiter, self._ended())  # who waits for it to be given
                self._give_back(registration)

    def _give_back(self, registration: Registration) -> None:
        registration.standing = RegistrationState.LEAVING
        self._say(m.Unregister(registration.reference))

    @property
    def _speaks(self) -> bool:
        """Whether we may still say something of routes."""
        return self._connection.ours in (Side.OPEN, Side.DRAINING)

    # What the proxy says.

    def registered(self, message: m.Registered) -> None:
        """Requests for a route may come."""
        registration = self.registrations.get(message.reference)
        if registration is None or registration.standing is not RegistrationState.ASKED:
            return
        waiter, registration.waiter = registration.waiter, None
        if registration.route.passthrough and not passthrough(message.info):
            # To this proxy it is a route for HTTP, which we do not speak there.
            self._give_back(registration)
            self._not_given(registration.route, "passthrough", _NO_PASSTHROUGH, waiter)
            return
        registration.standing = RegistrationState.STANDS
        self._profile.registered(message, self._runtime.log)
        self._listener.registered(registration.route)
        self._resolve(waiter, registration.route)

    def refused(self, message: m.Refused) -> None:
        """A route is not given, or not yet."""
        registration = self.registrations.remove(message.reference)
        if registration is None:
            return
        code, reason = words(message.code), words(message.reason)
        waiter, registration.waiter = registration.waiter, None
        if registration.standing is RegistrationState.LEAVING:
            # Who waits has given it back: it is not registered, as was asked.
            self._resolve(waiter, None)
        elif code == "too-fast":
            self._postpone(registration.route, waiter)
        else:
            self._not_given(registration.route, code, reason, waiter)

    def _not_given(self, route: Route, code: str, reason: str, waiter: Any) -> None:
        refusal = RegistrationRefused(route.host, route.path, code, reason)
        self._listener.refused(refusal)
        self._reject(waiter, refusal)

    def _postpone(self, route: Route, waiter: Any) -> None:
        """The proxy takes no more routes at the moment: ask again later, for all of those."""
        if not self._postponed:
            self._timers.after(TOO_FAST, self._ask_again)
        self._postponed.append((route, waiter))

    def _ask_again(self) -> None:
        if self._connection.ours is Side.OPEN:
            postponed, self._postponed = self._postponed, []
            for route, waiter in postponed:
                self._ask(route, waiter)

    def unregistered(self, reference: int) -> None:
        """No more requests come for a route that was given back."""
        registration = self.registrations.remove(reference)
        if registration is not None:
            waiter, registration.waiter = registration.waiter, None
            self._resolve(waiter, None)

    # The end.

    def unregistered_all(self) -> None:
        """The proxy has had its time to answer."""
        for registration in self.registrations:
            self.unregistered(registration.reference)

    def lost(self) -> None:
        """The connection is gone: nobody waits any more."""
        for registration in self.registrations:
            waiter, registration.waiter = registration.waiter, None
            self._reject(waiter, self._ended())
        postponed, self._postponed = self._postponed, []
        for _, waiter in postponed:
            self._reject(waiter, self._ended())

    def _resolve(self, waiter: Any, value: object) -> None:
        if waiter is not None:
            self._runtime.resolve(waiter, value)

    def _reject(self, waiter: Any, error: Exception) -> None:
        if waiter is not None:
            self._runtime.reject(waiter, error)
