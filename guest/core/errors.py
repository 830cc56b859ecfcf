"""
What can go wrong for a guest.

    GuestError
    ├── BodyTooLong             a request's body is longer than the application takes
    ├── RequestAborted          nobody waits for this answer any more
    ├── RequestFailed           there is no answer: 502, or another guest is asked
    ├── RequestRefused          not begun: another guest is asked, or 503
    ├── RegistrationRefused     the proxy does not give us that route
    ├── WebSocketClosed         there is nobody any more to talk to
    └── SubscriptionEnded       why a connection is over
        ├── SubscriptionRefused     the proxy said no to C{hello}
        ├── SubscriptionReplaced    another instance has our place: never retry
        ├── ProxySilent             nothing came for too long
        ├── SubscriptionCopied      our instance id has come again, and not from us
        ├── ProxyLeft               the proxy said C{bye}
        └── ProtocolBroken          the proxy broke a rule of the wire
"""

from __future__ import annotations


class GuestError(Exception):
    """The root of all that this package raises of its own."""


class BodyTooLong(GuestError):
    """
    A request's body is longer than C{Request.read} was told to take.

    An application that lets it pass answers 413 (Content Too Large).
    """


class RequestAborted(GuestError):
    """
    The exchange was over before its response was complete.

    @ivar code: C{client}, C{timeout}, C{protocol} or C{error} from the proxy
        (docs/protocol.md, "abort"); C{lost} when the connection is gone; C{answered} when
        a body is read of a request that has been answered.
    @ivar reason: text for a person.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{reason} ({code})" if reason else code)
        self.code = code
        self.reason = reason


class RequestRefused(GuestError):
    """
    Raised by an application that has not begun to execute a request, and can't now.

    The proxy asks another guest, whatever the method; if there is none, its client gets 503.
    """


class RequestFailed(GuestError):
    """
    Raised by an application that has no answer to a request, through no fault of its own code.

    The proxy asks another guest if the request may be repeated; otherwise its client gets 502.
    """


class WebSocketClosed(GuestError):
    """
    A WebSocket is closed: nothing more comes, and nothing more can be sent.

    @ivar code: RFC 6455 section 7.4; 1005 if the client gave none, 1006 if it left without a word.
    @ivar reason: the client's, or what it did wrong.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})" if reason else str(code))
        self.code = code
        self.reason = reason


class RegistrationRefused(GuestError):
    """
    The proxy refused a route.

    @ivar host: the host pattern.
    @ivar path: the path pattern.
    @ivar code: docs/protocol.md, "register".
    @ivar reason: text for a person.
    """

    def __init__(self, host: bytes, path: bytes, code: str, reason: str) -> None:
        shown = f"host={host.decode('utf-8', 'replace')} path={path.decode('utf-8', 'replace')}"
        super().__init__(f"{shown}: {reason} ({code})")
        self.host = host
        self.path = path
        self.code = code
        self.reason = reason


class SubscriptionEnded(GuestError):
    """Why a subscription is over; the root of the reasons."""


class _WithCode(SubscriptionEnded):
    """
    The proxy gave a reason.

    @ivar code: docs/protocol.md, "register" and "bye".
    @ivar reason: text for a person.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{reason} ({code})" if reason else code)
        self.code = code
        self.reason = reason


class SubscriptionRefused(_WithCode):
    """The proxy refused C{hello}."""


class SubscriptionReplaced(_WithCode):
    """Another instance of this application, in this VM, has taken our place: never retry."""


class SubscriptionCopied(_WithCode):
    """
    Our instance id has come again on a younger connection.

    If that is not one of our own, this machine and another are copies of one snapshot.
    """


class SubscriptionRestored(SubscriptionEnded):
    """The proxy says that this machine goes on from a snapshot: we have to be another instance."""


class ProxyLeft(_WithCode):
    """The proxy said C{bye}."""


class ProtocolBroken(_WithCode):
    """The proxy broke a rule of the wire."""


class ProxySilent(SubscriptionEnded):
    """Nothing came from the proxy for longer than its C{timeout}."""
