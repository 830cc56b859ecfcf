"""The admin listener: what it serves, where, and the token that opens it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from subproxy.admin.guard import Guard
from subproxy.admin.token import TokenError, default_files, obtain_token
from subproxy.app.cluster_gauges import cluster_gauges
from subproxy.app.listener import ListenerService
from subproxy.app.reload import Reloaded
from subproxy.app.service import ProxyService
from subproxy.config.listen import is_path
from subproxy.config.settings import Settings
from subproxy.core.routing.router import Router
from subproxy.endpoints.adopted import check_systemd
from subproxy.endpoints.private import PrivateUnixEndpoint
from subproxy.endpoints.server_endpoint import server_endpoint
from subproxy.fastpath.http1_factory import FastHttp1Factory
from subproxy.process.startup import fail
from subproxy.telemetry.counters import Counters

if TYPE_CHECKING:
    from subproxy.admin.guarded import GuardedSite
    from subproxy.admin.metrics import ProxyCollector
    from subproxy.admin.site import Admin
    from subproxy.app.hosts import Hosts
    from subproxy.app.tls import TlsSetup

FASTPATH_COUNTS = {
    "answered": "Requests that the compiled path has answered.",
    "declined_requests": "Requests that it has left to the Python path as they came.",
    "declined_answers": "Requests that it has left to the Python path later.",
}
"""What the metrics page tells of the compiled path."""


def admin_listener(
    reactor: Any,
    settings: Settings,
    service: ProxyService,
    router: Router,
    counters: Counters,
    uid: int | None,
    reload: Callable[[], Reloaded] | None = None,
    tls: TlsSetup | None = None,
    hosts: Hosts | None = None,
) -> ListenerService | None:
    """
    The admin listener of C{service}; None if nobody asked for one.

    @param uid: the user that the process is going to be; None: the one that it is.
    @param reload: reads the files again; None: there are none.
    @param tls: what is told of TLS; None if there is none.
    @param hosts: what is told of other hosts; None if there are none.
    @raise SystemExit: it can't be had as it was asked for.
    """
    where = settings.admin
    if where is None:
        return None
    # Imported here: twisted.web is half a second that a proxy without admin need not spend.
    from subproxy.admin.site import operations_site

    admin = operations(service, router, counters, reload, tls, hosts)
    guard = admin_guard(settings, uid)
    return admin_service(reactor, where, operations_site(admin, guard, reactor))


def operations(
    service: ProxyService,
    router: Router,
    counters: Counters,
    reload: Callable[[], Reloaded] | None,
    tls: TlsSetup | None,
    hosts: Hosts | None = None,
) -> Admin:
    """What can be asked of C{service}."""
    from prometheus_client import CollectorRegistry

    from subproxy.admin.metrics import ProxyCollector
    from subproxy.admin.overview import Overview
    from subproxy.admin.site import Admin

    registry = service.registrar.registry
    collector = ProxyCollector(counters, registry, service.dispatcher)
    collector.floods = service.http.context.floods
    if tls is not None:
        collector.handshakes = tls.handshakes
        collector.clients = tls.clients
        collector.orders = tls.orders
        collector.certificates = tls.view
    _add_gauges(collector, service)
    log = service.log
    admin = Admin(
        registry,
        router,
        monotonic,
        service.dispatcher.capacity,
        lambda: bool(service.running),
        None if reload is None else lambda: asdict(reload()),
        None if tls is None else tls.view,
        Overview(counters, registry, monotonic, _numbers(service)).look,
        None if log is None else lambda: {"path": log.path, "format": log.style},
        service.registrar.assigned,
    )
    if log is not None:
        admin.requests = log.find
    if hosts is not None:
        admin.hosts = hosts.data
        _add_host_gauges(collector, hosts)
    admin.collectors = CollectorRegistry()
    admin.collectors.register(collector)
    return admin


def admin_guard(settings: Settings, uid: int | None) -> Guard:
    """Who may see the pages of the admin listener, which is wanted."""
    assert settings.admin is not None
    token = None if _is_unix(settings.admin) else _admin_token(settings.admin_token, uid)
    return Guard(token, settings.admin_host)


def admin_service(reactor: Any, where: str, site: GuardedSite) -> ListenerService:
    """
    The listener for C{site}.

    @raise SystemExit: it can't be had as it was asked for.
    """
    endpoint: Any
    try:
        if _is_unix(where):
            endpoint = PrivateUnixEndpoint(reactor, where)
        else:
            check_systemd(where)
            endpoint = server_endpoint(reactor, where)
    except Exception as error:
        fail(f"--admin={where}: {error}")
    return ListenerService(endpoint, site, "admin", where)


def _numbers(service: ProxyService) -> dict[str, Callable[[], int]]:
    """What the overview has of the whole."""
    http, guests = service.http, service.subscriptions
    return {
        "in_flight": lambda: http.active,
        "waiting": lambda: service.dispatcher.admission.waiting,
        "tunnels": lambda: guests.context.tunnels.total,
        "connections": lambda: len(http.connections),
        "subscriptions": lambda: len(guests.subscriptions),
    }


def _add_gauges(collector: ProxyCollector, service: ProxyService) -> None:
    gauges = collector.gauges
    gauges["reactor_lag_seconds"] = ("Longest delay of a turn lately.", service.lag)
    gauges["subscriptions"] = (
        "Connections of guests.",
        lambda: len(service.subscriptions.subscriptions),
    )
    gauges["client_connections"] = (
        "Connections of clients.",
        lambda: len(service.http.connections),
    )
    gauges["in_flight"] = ("Requests under way.", lambda: service.http.active)
    gauges["tunnels"] = (
        "Tunnels of guests, WebSockets among them.",
        lambda: service.subscriptions.context.tunnels.total,
    )
    if isinstance(service.http, FastHttp1Factory):
        fastpath = service.http.fastpath
        for name, what in FASTPATH_COUNTS.items():
            gauges[f"fastpath_{name}"] = (what, partial(getattr, fastpath, name))
    log = service.log
    if log is not None:
        gauges["access_log_dropped_lines"] = ("Lines lost.", lambda: log.dropped)


def _add_host_gauges(collector: ProxyCollector, hosts: Hosts) -> None:
    gauges, links = collector.gauges, hosts.links
    gauges["hosts_asked"] = ("Other hosts that can be asked.", lambda: links.counts()[0])
    gauges["hosts_asking"] = ("Other hosts that ask.", lambda: links.counts()[1])
    if hosts.cluster is not None:
        gauges.update(cluster_gauges(hosts.cluster))


def _is_unix(where: str) -> bool:
    return is_path(where) or where.startswith("unix:")


def _admin_token(asked: str | None, uid: int | None) -> bytes | None:
    """
    What opens the admin listener over TCP; None if nothing can.

    @param asked: the file that an operator named.
    @raise SystemExit: that can't be had.
    """
    path = asked or default_files(os.geteuid(), os.environ)[0]
    try:
        token = obtain_token(path, -1 if uid is None else uid)
    except TokenError as error:
        if asked is not None:
            fail(f"--admin-token: {error}")
        Logger("subproxy").warn(
            "no token: over TCP the admin listener has open pages only: {error}", error=error
        )
        return None
    Logger("subproxy").info("the token of the admin listener is in {path}", path=path)
    return token
