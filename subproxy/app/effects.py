"""How new values of settings are put in force while the proxy runs: one function for each group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from subproxy.app.service import ProxyService
from subproxy.config.setting import HttpLimit
from subproxy.config.settings import TABLE, Settings
from subproxy.core.balancing.admission import AdmissionLimits
from subproxy.core.balancing.balancer import BALANCERS
from subproxy.core.balancing.member import LINGER
from subproxy.core.http.forwarded import Trust
from subproxy.core.http.trace_context import TraceContext
from subproxy.core.sites.site_table import SiteTable
from subproxy.frontend.half_close import HalfClose
from subproxy.frontend.limits import HttpLimits
from subproxy.frontend.proxy_protocol.protocol import DEFAULT_PEERS, ProxyProtocolFactory
from subproxy.process.fd_limits import client_limit, raise_limit
from subproxy.process.reactor_choice import set_spin
from subproxy.subscription.settings import SubscriptionSettings

NO_SITES = SiteTable(())


def admission_limits(settings: Settings, sites: SiteTable) -> AdmissionLimits:
    """How long and how many requests wait."""
    return AdmissionLimits(
        pool=settings.queue,
        total=settings.queue_total,
        busy=settings.queue_timeout,
        vacant=settings.hold,
        linger=route_linger(settings, sites),
    )


def route_linger(settings: Settings, sites: SiteTable) -> float:
    """Seconds for which a route without subscribers is remembered: as long as anybody waits."""
    return max(LINGER, settings.hold, sites.longest_hold)


def http_limits(settings: Settings) -> HttpLimits:
    """The limits of clients, with as many connections as there are descriptors for."""
    limits = settings.http_limits
    return replace(limits, connections=client_limit(raise_limit(), limits.connections))


def subscription_settings(settings: Settings, before: SubscriptionSettings) -> SubscriptionSettings:
    """The times of subscriptions, with the rest as it was C{before}."""
    return replace(
        before,
        ping_interval=settings.ping_interval,
        ping_timeout=settings.ping_timeout,
        timeout=settings.guest_timeout,
        bulk=settings.bulk or None,
    )


def proxy_peers(settings: Settings) -> Trust:
    """Who may say by the PROXY protocol who their clients are."""
    return Trust(settings.proxy_protocol or (*DEFAULT_PEERS, *settings.trust))


def limit(service: ProxyService, settings: Settings) -> None:
    """Hold clients to other limits."""
    unsent = service.http.context.limits.unsent
    service.http.set_limits(replace(http_limits(settings), unsent=unsent))


def wait(service: ProxyService, settings: Settings) -> None:
    """Let requests wait for so long, by the settings and by the sites that there are now."""
    sites = service.dispatcher.router.sites or NO_SITES
    service.registrar.registry.linger = route_linger(settings, sites)
    service.dispatcher.admission.set_limits(admission_limits(settings, sites))


def eject(service: ProxyService, settings: Settings) -> None:
    """Take out who fails so often, for so long; who is out already stays so for as long as was."""
    detector = service.dispatcher.failing.detector
    detector.row, detector.time = settings.eject_failures, settings.eject_time


def stop(service: ProxyService, settings: Settings) -> None:
    """Let a stop take so long."""
    service.shutdown_timeout = settings.shutdown_timeout


def balance(service: ProxyService, settings: Settings) -> None:
    """Choose in another way, in the compiled path too: it asks again when its cache is outdated."""
    service.dispatcher.admission.balancer = BALANCERS[settings.balance]()
    service.registrar.registry.outdate()


def half_close(service: ProxyService, settings: Settings) -> None:
    """Read a client's FIN in another way."""
    service.http.context.half_close = HalfClose(settings.half_close)


def believe(service: ProxyService, settings: Settings) -> None:
    """Believe others of who comes from now on."""
    service.http.set_trust(Trust(settings.trust))
    for listener in service.http_listeners:
        if isinstance(listener.factory, ProxyProtocolFactory):
            listener.factory.peers = proxy_peers(settings)


def traces(settings: Settings) -> TraceContext | None:
    """What follows traces; None: nobody does."""
    return None if settings.traces is None else TraceContext(settings.traces)


def follow(service: ProxyService, settings: Settings) -> None:
    """Follow traces, or no more."""
    service.http.set_traces(traces(settings))


def subscribe(service: ProxyService, settings: Settings) -> None:
    """Tell who subscribes from now on other times; the others go by what they were told."""
    subscriptions = service.subscriptions
    subscriptions.set_settings(subscription_settings(settings, subscriptions.context.settings))


def spin(service: ProxyService, settings: Settings) -> None:
    """Look for events for so long before sleeping, where the reactor can."""
    set_spin(service.clock, settings.spin)


EFFECTS: Mapping[str, Callable[[ProxyService, Settings], None]] = {
    "balance": balance,
    "ping_interval": subscribe,
    "ping_timeout": subscribe,
    "guest_timeout": subscribe,
    "bulk": subscribe,
    "eject_failures": eject,
    "eject_time": eject,
    "hold": wait,
    "queue": wait,
    "queue_total": wait,
    "queue_timeout": wait,
    "trust": believe,
    "proxy_protocol": believe,
    "half_close": half_close,
    "traces": follow,
    "shutdown_timeout": stop,
    "spin": spin,
    **{each.name: limit for each in TABLE if isinstance(each.kind, HttpLimit) and each.reload},
}
"""By the setting's name."""
