"""
Everything that can go wrong with a request, as one tree.

Each error knows the HTTP status that a client gets for it, whether it is safe to
try the exchange on another subscriber (C{retry_safe}: no guest can have executed
it), and after how many seconds a client may ask again. So no caller needs a ladder
of ifs::

    ProxyError
    ├── ClientError            the client's fault, or its absence
    │   ├── BadRequest         400
    │   ├── RequestTimeout     408
    │   ├── UpgradeRequired    426
    │   ├── NotImplementedHere 501
    │   ├── ...                whatever status the validator decides on
    │   └── ClientGone         499, never sent: only logged
    ├── NoRoute                404
    ├── TunnelIdle             504, never sent: a tunnel was open
    ├── Unauthorized           401, by the rules of a site
    ├── Forbidden              403, likewise
    │   └── LinkRefused        403, likewise: a signed link is needed
    ├── AccessUnknown          503, Retry-After: who is let in cannot be found out now
    ├── TooManyRequests        429, Retry-After, likewise
    ├── Unavailable            503, Retry-After
    │   ├── NoSubscriber
    │   ├── MachineDown
    │   ├── TooManyTunnels
    │   ├── QueueFull
    │   └── QueueTimeout
    └── GuestFailure             the guest's fault
        ├── GuestRefused       503, Retry-After: the guest said that it did not execute it
        ├── GuestGone          502
        ├── GuestMisbehaved    502
        └── GuestSlow          504
"""

from __future__ import annotations


class ProxyError(Exception):
    """
    The root: why an exchange has no good answer.

    @cvar status: the HTTP status that a client gets.
    @cvar code: one word for logs and metrics.
    @cvar retry_safe: no guest can have executed the request.
    @cvar retry_after: seconds for C{Retry-After}, or None.
    """

    status: int = 500
    code: str = "error"
    retry_safe: bool = False
    retry_after: int | None = None

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason or (type(self).__doc__ or "").strip().partition("\n")[0]

    def __str__(self) -> str:
        return self.reason


class ClientError(ProxyError):
    """The request cannot be served as it was sent."""

    status = 400
    code = "client"

    def __init__(self, reason: str = "", status: int | None = None) -> None:
        super().__init__(reason)
        if status is not None:
            self.status = status


class BadRequest(ClientError):
    """The request is malformed or ambiguous."""

    code = "bad-request"


class RequestTimeout(ClientError):
    """The request did not arrive in time."""

    status = 408
    code = "request-timeout"


class UpgradeRequired(ClientError):
    """The request asks for a version of WebSocket that is not spoken."""

    status = 426
    code = "upgrade-required"


class NotImplementedHere(ClientError):
    """An extended CONNECT asks for a protocol that there is no tunnel for."""

    status = 501
    code = "not-implemented"


class ClientGone(ClientError):
    """The client left before its answer was complete."""

    status = 499
    code = "client-gone"


class TunnelIdle(ProxyError):
    """Nothing passed through the tunnel for long."""

    status = 504
    code = "tunnel-idle"


class NoRoute(ProxyError):
    """No application serves this host and path."""

    status = 404
    code = "no-route"


class Unauthorized(ProxyError):
    """A name and a password are needed."""

    status = 401
    code = "unauthorized"


class Forbidden(ProxyError):
    """This client may not ask for this."""

    status = 403
    code = "forbidden"


class LinkRefused(Forbidden):
    """This is private, and opens by a link. Yours is missing here, has expired or was revoked."""

    code = "link"


class AccessUnknown(ProxyError):
    """Whether you may see this cannot be found out just now."""

    status = 503
    code = "access-unknown"
    retry_after = 1


class TooManyRequests(ProxyError):
    """This client asks too often, or for too much at a time."""

    status = 429
    code = "too-many-requests"
    retry_after = 1


class Unavailable(ProxyError):
    """The application has no subscriber that can take the request now."""

    status = 503
    code = "unavailable"
    retry_safe = True
    retry_after = 1


class NoSubscriber(Unavailable):
    """The application has no live subscriber."""

    code = "no-subscriber"


class MachineDown(Unavailable):
    """The machine of the application is not up."""

    code = "machine-down"


class MachineStarting(Unavailable):
    """The machine of the application starts, and a browser is told so."""

    code = "machine-starting"
    retry_after = 2


class TooManyTunnels(Unavailable):
    """The virtual machine of the application has all the tunnels that it may have."""

    code = "too-many-tunnels"


class QueueFull(Unavailable):
    """Too many requests already wait for this application."""

    code = "queue-full"


class QueueTimeout(Unavailable):
    """No subscriber of this application became free in time."""

    code = "queue-timeout"


class GuestFailure(ProxyError):
    """The application did not answer properly."""

    status = 502
    code = "guest"


class GuestRefused(GuestFailure):
    """The application refused the request without executing it."""

    status = 503
    code = "guest-refused"
    retry_safe = True
    retry_after = 1


class GuestGone(GuestFailure):
    """The application went away before its answer was complete."""

    code = "guest-gone"


class GuestMisbehaved(GuestFailure):
    """The application sent an invalid response."""

    code = "guest-misbehaved"


class GuestSlow(GuestFailure):
    """The application did not answer in time."""

    status = 504
    code = "guest-slow"
