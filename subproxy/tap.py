"""Assembles the proxy from its options; decides nothing (see L{subproxy.config.options})."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from random import Random
from time import monotonic
from typing import Any

from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.admin.guard import Guard
from subproxy.admin.token import TokenError, default_files, obtain_token
from subproxy.app.listener import ListenerService, NotListening, why
from subproxy.app.service import ProxyService
from subproxy.config.bare_port import ClientListener, expand, without_policy
from subproxy.config.listen import VsockListen, is_path
from subproxy.config.options import Options
from subproxy.config.policy_file import PolicyFile
from subproxy.core.access.policy import Policy, PolicyError
from subproxy.core.balancing.admission import Admission, AdmissionLimits
from subproxy.core.balancing.balancer import BALANCERS
from subproxy.core.balancing.member import LINGER
from subproxy.core.dispatcher import Dispatcher
from subproxy.core.http.forwarded import Forwarding, Trust
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.router import Router
from subproxy.endpoints.adopted import AdoptedVsockEndpoint, check_systemd, socket_of_systemd
from subproxy.endpoints.folder import FolderService
from subproxy.endpoints.hybrid import HybridVsockServerEndpoint
from subproxy.endpoints.identity import identity_of_peer, identity_of_transport
from subproxy.endpoints.private import PrivateUnixEndpoint
from subproxy.fastpath.http1_factory import FastHttp1Factory
from subproxy.fastpath.install import install, unavailable
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.half_close import HalfClose
from subproxy.frontend.limits import TABLE, HttpLimits
from subproxy.frontend.notsent_lowat import limit_unsent
from subproxy.frontend.proxy_protocol.protocol import (
    DEFAULT_PEERS,
    PREFIX,
    ProxyProtocolFactory,
    is_proxied,
    proxied_endpoint,
)
from subproxy.process import compiled
from subproxy.process.fd_limits import client_limit, raise_limit
from subproxy.process.gc_tuning import tune
from subproxy.process.reactor_choice import choose, make_monotonic
from subproxy.process.sd_notify import SupervisorNotifier
from subproxy.process.signals import SignalService, stop_on_signals
from subproxy.process.startup import detach, fail, fail_running, started
from subproxy.process.upgrade import InheritedSockets, http_endpoint
from subproxy.subscription.factory import SubscriptionFactory
from subproxy.subscription.registrar import Registrar
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.telemetry.access_log import AccessLog
from subproxy.telemetry.counters import Counters, ExchangeLogFanOut

__all__ = ["Options", "makeService"]

FASTPATH_COUNTS = {
    "answered": "Requests that the compiled path has answered.",
    "declined_requests": "Requests that it has left to the Python path as they came.",
    "declined_answers": "Requests that it has left to the Python path later.",
}
"""What the metrics page tells of the compiled path."""


def makeService(options: Options) -> ProxyService:
    """The service that C{twistd subproxy} runs; it is in the background then, if it is to be."""
    config = getattr(options, "parent", None)
    detach(config)
    chosen = choose()
    from twisted.internet import reactor

    make_monotonic(reactor)
    Logger("subproxy").info("reactor: {chosen}", chosen=chosen)
    shortfall = compiled.shortfall()
    if shortfall is not None:
        Logger("subproxy").warn("{shortfall} (see README, Install)", shortfall=shortfall)
    ring = getattr(reactor, "ring", None)
    if ring is not None:
        ring.spin = options["spin"] / 1e6
    inheritance = InheritedSockets.of_environment()
    supervisor = SupervisorNotifier(config)
    service = build(options, reactor, inheritance, supervisor)
    service.inherits = bool(inheritance)
    stop_on_signals(reactor, service.hurry)

    def up(_: object) -> None:
        started(config)
        if inheritance:
            supervisor.succeed(inheritance.pidfile)
            inheritance.done()
        else:
            supervisor.ready()

    def running() -> None:
        stop_on_signals(reactor, service.hurry)
        service.when_listening().addCallback(up).addErrback(down)

    def down(failure: Failure) -> None:
        if not failure.check(NotListening):
            Logger("subproxy").failure("the start failed", failure)
        fail_running(reactor, failure.getErrorMessage())

    reactor.callWhenRunning(running)
    tune()
    return service


def build(
    options: Options,
    reactor: Any,
    inheritance: InheritedSockets | None = None,
    supervisor: SupervisorNotifier | None = None,
) -> ProxyService:
    """The proxy of C{options} on C{reactor}; it listens on what it has inherited."""
    inheritance = inheritance or InheritedSockets()
    random = Random()
    linger = max(LINGER, options["hold"])
    registry = Registry(linger=linger)
    router = Router(registry)
    admission = Admission(
        BALANCERS[options["balance"]](),
        random,
        AdmissionLimits(
            pool=options["queue"],
            total=options["queue-total"],
            busy=options["queue-timeout"],
            vacant=options["hold"],
            linger=linger,
        ),
    )
    dispatcher = Dispatcher(router, admission, monotonic)
    registrar = Registrar(registry, monotonic, dispatcher.capacity)
    policy_file = _policy_file(options, registrar)
    subscriptions = SubscriptionFactory(
        reactor,
        dispatcher,
        registrar,
        identity_of_transport,
        SubscriptionSettings(
            ping_interval=options["ping-interval"],
            ping_timeout=options["ping-timeout"],
            timeout=options["guest-timeout"],
            bulk=options["bulk"] or None,
        ),
        random,
        identity_of_peer,
    )
    log = _access_log(reactor, options)
    counters = Counters()
    reason = "--no-fastpath" if options["no-fastpath"] else unavailable()
    http = (FastHttp1Factory if reason is None else Http1Factory)(
        dispatcher,
        _http_limits(options),
        reactor,
        ExchangeLogFanOut(counters, log) if log is not None else counters,
        Forwarding(Trust(options["trust"])),
        half_close=HalfClose(options["half-close"]),
    )
    if isinstance(http, FastHttp1Factory):
        install(http, subscriptions, log, counters)
    else:
        Logger("subproxy").info("every request takes the Python path: {reason}", reason=reason)
    service = ProxyService(
        reactor,
        registrar,
        dispatcher,
        http,
        subscriptions,
        [
            _http_listener(reactor, listen, http, options, inheritance)
            for value in options["http"]
            for listen in expand(value, options["policy"] is not None)
        ],
        [
            _vsock_listener(reactor, each, subscriptions, options, inheritance)
            for each in options["vsock"]
        ],
        options["shutdown-timeout"],
        log,
        supervisor,
    )
    inheritance.routes(registry, monotonic())
    handlers: dict[signal.Signals, Callable[[], object]] = {
        signal.SIGUSR2: lambda: service.hand_over(reactor)
    }
    if log is not None:
        handlers[signal.SIGUSR1] = log.reopen
    if policy_file is not None:

        def changed(policy: Policy) -> None:
            registrar.policy = policy
            subscriptions.policy_changed()

        policy_file.changed = changed
        handlers[signal.SIGHUP] = policy_file.reload
    if options["admin"] is not None:
        admin = _admin_listener(reactor, options, service, router, counters)
        service.addService(admin)  # type: ignore[no-untyped-call]
        service.admin_listeners.append(admin)
    service.addService(SignalService(reactor, handlers))  # type: ignore[no-untyped-call]
    return service


def _http_limits(options: Options) -> HttpLimits:
    limits = {row.name: options[row.option] for row in TABLE}
    limits["connections"] = client_limit(raise_limit(), limits["connections"])
    return HttpLimits(**limits)


def _policy_file(options: Options, registrar: Registrar) -> PolicyFile | None:
    """Put the policy in force, or say that there is none."""
    path = options["policy"]
    if path is None:
        Logger("subproxy").info("{what}", what=without_policy(options["http"]))
        return None

    file = PolicyFile(path, lambda policy: None)
    try:
        registrar.policy = file.read()
    except OSError as error:
        fail(f"--policy={path}: {error.strerror}")
    except PolicyError as error:
        fail("\nsubproxy: ".join(f"{path}:{line}: {text}" for line, text in error.problems))
    return file


def _access_log(reactor: Any, options: Options) -> AccessLog | None:
    if options["access-log"] == "none":
        return None
    try:
        return AccessLog(options["access-log"], options["access-log-format"], reactor)
    except OSError as error:
        fail(f"--access-log={options['access-log']}: {why(error)}")


def _admin_listener(
    reactor: Any, options: Options, service: ProxyService, router: Router, counters: Counters
) -> ListenerService:
    where = options["admin"]
    # Imported here: twisted.web is half a second that a proxy without admin need not spend.
    from prometheus_client import CollectorRegistry

    from subproxy.admin.metrics import ProxyCollector
    from subproxy.admin.site import Admin, admin_site

    registry = service.registrar.registry
    collector = ProxyCollector(counters, registry, service.dispatcher)
    collector.gauges["reactor_lag_seconds"] = ("Longest delay of a turn lately.", service.lag)
    collector.gauges["subscriptions"] = (
        "Connections of guests.",
        lambda: len(service.subscriptions.subscriptions),
    )
    collector.gauges["client_connections"] = (
        "Connections of clients.",
        lambda: len(service.http.connections),
    )
    collector.gauges["in_flight"] = ("Requests under way.", lambda: service.http.active)
    if isinstance(service.http, FastHttp1Factory):
        fastpath = service.http.fastpath
        for name, what in FASTPATH_COUNTS.items():
            collector.gauges[f"fastpath_{name}"] = (what, partial(getattr, fastpath, name))
    log = service.log
    if log is not None:
        collector.gauges["access_log_dropped_lines"] = ("Lines lost.", lambda: log.dropped)
    collectors = CollectorRegistry()
    collectors.register(collector)
    admin = Admin(
        registry,
        router,
        monotonic,
        service.dispatcher.capacity,
        lambda: bool(service.running),
    )
    endpoint: Any
    try:
        if _is_unix(where):
            endpoint = PrivateUnixEndpoint(reactor, where)
        else:
            check_systemd(where)
            endpoint = serverFromString(reactor, where)
    except Exception as error:
        fail(f"--admin={where}: {error}")
    guard = Guard(_admin_token(options), options["admin-host"])
    return ListenerService(endpoint, admin_site(admin, collectors, guard), "admin", where)


def _is_unix(where: str) -> bool:
    return is_path(where) or where.startswith("unix:")


def _admin_token(options: Options) -> bytes | None:
    """What opens the admin listener over TCP; None where that is a UNIX socket."""
    if _is_unix(options["admin"]):
        return None
    path = options["admin-token"] or default_files(os.geteuid(), os.environ)[0]
    uid = (getattr(options, "parent", None) or {}).get("uid")
    try:
        token = obtain_token(path, -1 if uid is None else uid)
    except TokenError as error:
        if options["admin-token"] is not None:
            fail(f"--admin-token: {error}")
        Logger("subproxy").warn(
            "no token: over TCP the admin listener has open pages only: {error}", error=error
        )
        return None
    Logger("subproxy").info("the token of the admin listener is in {path}", path=path)
    return token


def _http_listener(
    reactor: Any,
    listen: ClientListener,
    http: Http1Factory,
    options: Options,
    inheritance: InheritedSockets,
) -> ListenerService:
    where = listen.where
    factory: Factory = http
    parse: Callable[[Any, str], Any] = serverFromString
    if is_proxied(where):
        peers = options["proxy-protocol"] or [*DEFAULT_PEERS, *options["trust"]]
        factory = ProxyProtocolFactory(http, Trust(peers), where)
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
        fail(f"--http={where}: {error}")
    unsent = http.context.limits.unsent
    return ListenerService(
        endpoint, factory, "HTTP", where, prepare=lambda port: limit_unsent(port, unsent)
    )


def _vsock_listener(
    reactor: Any,
    listen: VsockListen,
    factory: SubscriptionFactory,
    options: Options,
    inheritance: InheritedSockets,
) -> IService:
    port = options["vsock-port"]
    endpoint: Any
    owned = {
        "mode": options["vsock-mode"],
        "owner": options["vsock-owner"],
        "group": options["vsock-group"],
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
            endpoint = serverFromString(reactor, listen.value)
        inheritance.endow(listen.value, endpoint)
    except Exception as error:
        fail(f"--vsock={listen.value}: {error}")
    return ListenerService(endpoint, factory, "guests", listen.value, optional=listen.optional)
