"""The listeners of clients and of guests, as an operator wrote them, or as they were inherited."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService
from twisted.internet.protocol import Factory

from subproxy.app.effects import proxy_peers
from subproxy.app.listener import ListenerService
from subproxy.config.bare_port import ClientListener, expand_all
from subproxy.config.listen import VsockListen
from subproxy.config.settings import Settings
from subproxy.endpoints.adopted import AdoptedVsockEndpoint, check_systemd, socket_of_systemd
from subproxy.endpoints.folder import FolderService
from subproxy.endpoints.hybrid import HybridVsockServerEndpoint
from subproxy.endpoints.server_endpoint import server_endpoint
from subproxy.fastpath.http1_only_factory import http1_only
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.notsent_lowat import limit_unsent
from subproxy.frontend.proxy_protocol.protocol import (
    PREFIX,
    ProxyProtocolFactory,
    is_proxied,
    proxied_endpoint,
)
from subproxy.process.inherited_sockets import InheritedSockets, http_endpoint
from subproxy.process.startup import fail

if TYPE_CHECKING:
    from subproxy.app.tls import TlsSetup


def http_listeners(
    reactor: Any,
    settings: Settings,
    http: Http1Factory,
    inheritance: InheritedSockets,
    has_policy: bool,
    tls: TlsSetup | None = None,
) -> list[ListenerService]:
    """
    All listeners of clients.

    @param has_policy: a bare port may be for everybody.
    @param tls: what those over TLS share; None if there are none.
    @raise SystemExit: one of them is none.
    """
    found = [
        _http_listener(reactor, listen, http, settings, inheritance)
        for listen in expand_all(settings.http, has_policy)
    ]
    if tls is not None:
        found += [
            _http_listener(reactor, listen, http, settings, inheritance, tls)
            for listen in expand_all(settings.https, has_policy)
        ]
    return found


def vsock_listeners(
    reactor: Any,
    settings: Settings,
    subscriptions: Factory,
    inheritance: InheritedSockets,
) -> list[IService]:
    """
    All listeners of guests.

    @raise SystemExit: one of them is none.
    """
    return [
        _vsock_listener(reactor, each, subscriptions, settings, inheritance)
        for each in settings.vsock
    ]


def _http_listener(
    reactor: Any,
    listen: ClientListener,
    http: Http1Factory,
    settings: Settings,
    inheritance: InheritedSockets,
    tls: TlsSetup | None = None,
) -> ListenerService:
    where = listen.where
    factory: Factory
    if tls is not None:
        factory = tls.factory(where, listen.http2)
    else:
        factory = http if listen.http2 else http1_only(http)
    parse: Callable[[Any, str], Any] = server_endpoint
    if is_proxied(where):
        factory = ProxyProtocolFactory(http, proxy_peers(settings), where, factory)
        parse = proxied_endpoint
    try:
        if inheritance.has(where):
            endpoint = http_endpoint(reactor, where, inheritance, parse)
        elif listen.port is not None:
            endpoint = listen.endpoint(reactor)
        else:
            check_systemd(where.removeprefix(PREFIX))
            endpoint = parse(reactor, where)
    except Exception as error:
        fail(f"--{'http' if tls is None else 'https'}={where}: {error}")
    unsent = http.context.limits.unsent
    return ListenerService(
        endpoint,
        factory,
        ("HTTP" if tls is None else "HTTPS") + ("" if listen.http2 else ", without HTTP/2,"),
        where,
        prepare=lambda port: limit_unsent(port, unsent),
    )


def _vsock_listener(
    reactor: Any,
    listen: VsockListen,
    factory: Factory,
    settings: Settings,
    inheritance: InheritedSockets,
) -> IService:
    port = settings.vsock_port
    endpoint: Any
    owned: dict[str, Any] = {
        "mode": settings.vsock_mode,
        "owner": settings.vsock_owner,
        "group": settings.vsock_group,
    }
    try:
        if listen.kind == "glob":
            folder = FolderService(reactor, listen.value, port, factory, **owned)
            inheritance.endow(listen.value, folder)
            return folder
        if inheritance.has(listen.value) and listen.value.startswith("systemd:"):
            left = inheritance.socket(listen.value)
            assert left is not None
            endpoint = AdoptedVsockEndpoint(reactor, left, listen.value)
        elif listen.value.startswith("systemd:"):
            left = socket_of_systemd(listen.value)
            endpoint = AdoptedVsockEndpoint(reactor, left, listen.value)
        elif listen.kind == "path":
            endpoint = HybridVsockServerEndpoint(reactor, listen.value, port, **owned)
        else:
            endpoint = server_endpoint(reactor, listen.value)
        inheritance.endow(listen.value, endpoint)
    except Exception as error:
        fail(f"--vsock={listen.value}: {error}")
    return ListenerService(endpoint, factory, "guests", listen.value, optional=listen.optional)
