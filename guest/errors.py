"""The public path of L{guest.core.errors}."""

from guest.core.errors import (
    BodyTooLong,
    GuestError,
    ProtocolBroken,
    ProxyLeft,
    ProxySilent,
    RegistrationRefused,
    RequestAborted,
    RequestFailed,
    RequestRefused,
    SubscriptionCopied,
    SubscriptionEnded,
    SubscriptionRefused,
    SubscriptionReplaced,
    SubscriptionRestored,
    WebSocketClosed,
)

__all__ = [
    "BodyTooLong",
    "GuestError",
    "ProtocolBroken",
    "ProxyLeft",
    "ProxySilent",
    "RegistrationRefused",
    "RequestAborted",
    "RequestFailed",
    "RequestRefused",
    "SubscriptionCopied",
    "SubscriptionEnded",
    "SubscriptionRefused",
    "SubscriptionReplaced",
    "SubscriptionRestored",
    "WebSocketClosed",
]
