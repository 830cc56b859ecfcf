"""
The guest side: an application in a virtual machine that subscribes to the proxy.

    from guest import Request, Response, SubscriberProtocol

The names are imported when they are asked for: requests and responses import no framework.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guest.core.request import Request
    from guest.core.response import Response
    from guest.core.route import Route
    from guest.core.tls_acceptance import TlsAcceptance, TlsTunnel
    from guest.core.tunnel import TunnelAcceptance, TunnelConnection
    from guest.core.web_socket import WebSocket
    from guest.core.web_socket_acceptance import WebSocketAcceptance
    from guest.twisted.factory import SubscriberFactory
    from guest.twisted.service import SubscriberService
    from guest.twisted.subscriber import SubscriberProtocol

_HOME = {
    "Request": "guest.core.request",
    "Response": "guest.core.response",
    "Route": "guest.core.route",
    "SubscriberFactory": "guest.twisted.factory",
    "SubscriberProtocol": "guest.twisted.subscriber",
    "SubscriberService": "guest.twisted.service",
    "TlsAcceptance": "guest.core.tls_acceptance",
    "TlsTunnel": "guest.core.tls_acceptance",
    "TunnelAcceptance": "guest.core.tunnel",
    "TunnelConnection": "guest.core.tunnel",
    "WebSocket": "guest.core.web_socket",
    "WebSocketAcceptance": "guest.core.web_socket_acceptance",
}

__all__ = [
    "Request",
    "Response",
    "Route",
    "SubscriberFactory",
    "SubscriberProtocol",
    "SubscriberService",
    "TlsAcceptance",
    "TlsTunnel",
    "TunnelAcceptance",
    "TunnelConnection",
    "WebSocket",
    "WebSocketAcceptance",
]


def __getattr__(name: str) -> object:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(home), name)
