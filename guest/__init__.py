"""
The guest side: an application in a virtual machine that subscribes to the proxy.

    from guest import Request, Response, SubscriberProtocol

The names are imported when they are asked for: requests and responses import no framework.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guest.factory import SubscriberFactory
    from guest.request import Request
    from guest.response import Response
    from guest.route import Route
    from guest.service import SubscriberService
    from guest.subscriber import SubscriberProtocol

_HOME = {
    "Request": "guest.request",
    "Response": "guest.response",
    "Route": "guest.route",
    "SubscriberFactory": "guest.factory",
    "SubscriberProtocol": "guest.subscriber",
    "SubscriberService": "guest.service",
}

__all__ = [
    "Request",
    "Response",
    "Route",
    "SubscriberFactory",
    "SubscriberProtocol",
    "SubscriberService",
]


def __getattr__(name: str) -> object:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(home), name)
