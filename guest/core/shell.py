"""What a shell gives a subscription: its connection, and who hears of it. Imports no framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from guest.core.errors import RegistrationRefused, RequestAborted
from guest.core.exchanges import ExchangeAdapter
from guest.core.request import Request
from guest.core.route import Route
from guest.core.welcome import Welcome


class ByteStream(Protocol):
    """The connection, as the core wants it of a shell."""

    def write(self, data: bytes) -> None:
        """Send C{data} behind what was written before."""

    def pause(self) -> None:
        """Read no more for now."""

    def resume(self) -> None:
        """Read on."""

    def close(self) -> None:
        """Close behind what was written."""

    def abort(self) -> None:
        """Close at once."""


class SubscriptionListener(Protocol):
    """Who answers requests, those for tunnels by C{tunnel} if that is not None, and hears."""

    tunnel: Callable[[Request], Any] | None

    @property
    def answer(self) -> Callable[[Request], Any] | ExchangeAdapter:
        """The L{Response<guest.core.response.Response>} to a request, or what to await for it."""

    def subscribed(self, welcome: Welcome) -> None:
        """The proxy has taken us."""

    def registered(self, route: Route) -> None:
        """Requests for that route may come from now on."""

    def refused(self, refusal: RegistrationRefused) -> None:
        """The proxy does not give us that route."""

    def aborted(self, request: Request, reason: RequestAborted) -> None:
        """Nobody waits any more for the answer to C{request}."""

    def leaving(self, reason: Exception | None) -> None:
        """No new requests will come: None if the proxy drains. Told once."""
