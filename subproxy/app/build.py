"""Builds the proxy from its settings; decides nothing (see L{subproxy.config.settings})."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from random import Random
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

from subproxy.app.access_asker import ReactorAccessAsker
from subproxy.app.challenge_folder import ChallengeFolder
from subproxy.app.effects import (
    admission_limits,
    http_limits,
    route_linger,
    subscription_settings,
    traces,
)
from subproxy.app.ejection_log import ejection_log
from subproxy.app.listener import why
from subproxy.app.listeners import http_listeners, vsock_listeners
from subproxy.app.service import ProxyService
from subproxy.app.site_files_service import SiteFilesService
from subproxy.config.bare_port import without_policy
from subproxy.config.settings import ON, Settings
from subproxy.config.sources import Effective, Sources
from subproxy.core.access.policy import PolicyError
from subproxy.core.balancing.admission import Admission
from subproxy.core.balancing.balancer import BALANCERS
from subproxy.core.dispatcher import Dispatcher
from subproxy.core.http.forwarded import Forwarding, Trust
from subproxy.core.http.upgrade import WEBSOCKET
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.router import Router
from subproxy.core.sites.site_table import SiteTable
from subproxy.endpoints.identity import identity_of_peer, identity_of_transport
from subproxy.endpoints.openssl import openssl
from subproxy.fastpath.http1_factory import FastHttp1Factory
from subproxy.fastpath.install import install, unavailable
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.half_close import HalfClose
from subproxy.process.inherited_sockets import InheritedSockets
from subproxy.process.sd_notify import SupervisorNotifier
from subproxy.process.signals import SignalService
from subproxy.process.startup import fail
from subproxy.subscription.factory import SubscriptionFactory
from subproxy.subscription.registrar import TLS_NAMES, Registrar
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.telemetry.access_log import AccessLog
from subproxy.telemetry.counters import Counters, ExchangeLogFanOut
from subproxy.telemetry.recent_requests import RecentRequests
from subproxy.wire.values import value_class

if TYPE_CHECKING:
    from subproxy.app.hosts import Hosts
    from subproxy.app.reload import Reloaded, Reloader
    from subproxy.app.tls import TlsSetup
    from subproxy.frontend.tls.certificate_reader import CertificateReader


@value_class
class Proxy:
    """
    A proxy of one process, or what one of several workers is.

    @ivar service: what starts and stops it.
    @ivar tls: what its listeners of TLS share; None if there are none.
    @ivar reload: reads the files again; None: there are none.
    @ivar hosts: what is known of other hosts; None: there are none.
    """

    service: ProxyService
    router: Router
    counters: Counters
    tls: TlsSetup | None
    reload: Callable[[], Reloaded] | None
    hosts: Hosts | None = None


def build(
    settings: Settings,
    reactor: Any,
    inheritance: InheritedSockets | None = None,
    supervisor: SupervisorNotifier | None = None,
    uid: int | None = None,
    sources: Sources | None = None,
    effective: Effective | None = None,
) -> ProxyService:
    """
    The proxy of C{settings} on C{reactor}; it listens on what it has inherited.

    @param uid: the user that the process is going to be; None: the one that it is.
    @param sources: what a reload reads; None: only the policy.
    @param effective: what C{sources} came to, C{settings} among it.
    @raise SystemExit: something that was asked for can't be had; standard error says what.
    """
    inheritance = inheritance or InheritedSockets()
    built = build_proxy(settings, reactor, inheritance, supervisor, sources, effective, uid=uid)
    service, reload = built.service, built.reload
    if settings.admin is not None:
        # Imported here, as what follows in this module: who has none need not spend it.
        from subproxy.app.admin import admin_listener

        admin = admin_listener(
            reactor,
            settings,
            service,
            built.router,
            built.counters,
            uid,
            reload,
            built.tls,
            built.hosts,
        )
        if admin is not None:
            service.addService(admin)  # type: ignore[no-untyped-call]
            service.admin_listeners.append(admin)
    handlers = _signal_handlers(reactor, service, reload)
    SignalService(reactor, handlers).be_first(service)
    return service


def build_proxy(
    settings: Settings,
    reactor: Any,
    inheritance: InheritedSockets,
    supervisor: SupervisorNotifier | None = None,
    sources: Sources | None = None,
    effective: Effective | None = None,
    guests: SubscriptionSettings | None = None,
    uid: int | None = None,
    certificates: CertificateReader | None = None,
    replaces: bool = False,
) -> Proxy:
    """
    What L{build} builds, without an admin listener and signals.

    @param certificates: see L{subproxy.app.tls.build_tls}.
    @param replaces: it takes the place of one that has died: it is better to serve without an
        access log than not at all.

    @param guests: of a worker, to which somebody else passes the connections of guests: what is so
        in its subscriptions.
    @param uid: see L{build}.
    @raise SystemExit: see L{build}.
    """
    random = Random()
    effective = effective or Effective({}, settings, None)
    sites = SiteTable(effective.sites)
    registry = Registry(linger=route_linger(settings, sites))
    router = Router(registry)
    router.set_sites(sites)
    admission = Admission(BALANCERS[settings.balance](), random, admission_limits(settings, sites))
    dispatcher = Dispatcher(router, admission, monotonic)
    dispatcher.entrance.wall = time
    dispatcher.entrance.asker = ReactorAccessAsker(reactor)
    detector = dispatcher.failing.detector
    detector.row, detector.time = settings.eject_failures, settings.eject_time
    dispatcher.failing.told = ejection_log()
    dispatcher.challenges += [ChallengeFolder(path).find for path in settings.acme_challenges]
    registrar = Registrar(registry, monotonic, dispatcher.capacity)
    _put_policy_in_force(effective, registrar)
    subscriptions = SubscriptionFactory(
        reactor,
        dispatcher,
        registrar,
        identity_of_transport,
        subscription_settings(
            settings,
            guests
            or SubscriptionSettings(
                predecessor=2 * settings.shutdown_timeout if inheritance else 0.0
            ),
        ),
        random,
        identity_of_peer,
    )
    log = _access_log(reactor, settings, replaces)
    counters = Counters()
    reason = "--no-fastpath" if settings.no_fastpath else unavailable()
    http = (FastHttp1Factory if reason is None else Http1Factory)(
        dispatcher,
        http_limits(settings),
        reactor,
        ExchangeLogFanOut(counters, log) if log is not None else counters,
        Forwarding(Trust(settings.trust)),
        half_close=HalfClose(settings.half_close),
    )
    http.set_traces(traces(settings))
    http.context.web_sockets = lambda: registrar.policy.changes_to(WEBSOCKET)
    if isinstance(http, FastHttp1Factory):
        install(http, subscriptions, log, counters, settings.http2 == ON)
        if not http.speaks_http2:
            Logger("subproxy").info("HTTP/2 is not spoken: --http2=off")
    else:
        Logger("subproxy").info(
            "every request takes the Python path: {reason}; HTTP/2 is not spoken", reason=reason
        )
    tls = acme = None
    if settings.https:
        from subproxy.app.tls import build_tls  # a dozen modules, of which others have no use

        more = []
        if settings.acme is not None:
            from subproxy.app.acme import acme_folder, build_acme

            more.append(acme_folder(settings, uid))
        tls = build_tls(reactor, settings, http, router, more, certificates)
        registrar.tells_tls = TLS_NAMES
        registrar.passes_tls = True
        if settings.acme is not None and tls is not None:
            worker = None if guests is None else guests.process
            acme = build_acme(reactor, settings, tls, dispatcher, registrar, worker)
    service = ProxyService(
        reactor,
        registrar,
        dispatcher,
        http,
        subscriptions,
        http_listeners(reactor, settings, http, inheritance, effective.has_policy, tls),
        [] if guests else vsock_listeners(reactor, settings, subscriptions, inheritance),
        settings.shutdown_timeout,
        log,
        supervisor,
        None if tls is None else tls.certificates,
        site_files=SiteFilesService(reactor, router, effective.declared_sites),
    )
    if acme is not None:
        service.addService(acme)  # type: ignore[no-untyped-call]
        service.duties.append(acme)
    hosts = None
    if settings.peer_certificate is not None and guests is None:
        hosts = _hosts(reactor, settings, service, inheritance)
    inheritance.routes(registry, monotonic())
    registrar.assigned.restore(inheritance.assigned)
    reloader = _reloader(service, effective, sources)
    reload = None if reloader is None else reloader.reload
    return Proxy(service, router, counters, tls, reload, hosts)


def _hosts(
    reactor: Any, settings: Settings, service: ProxyService, inheritance: InheritedSockets
) -> Hosts:
    """What is known of other hosts, whose modules others have no use for."""
    provide_openssl()
    from subproxy.app.hosts import build_hosts

    return build_hosts(reactor, settings, service, inheritance)


def provide_openssl() -> None:
    """
    Let TLS between hosts have what it needs.

    @raise SystemExit: it is not there.
    """
    openssl.provide()
    try:
        import OpenSSL  # noqa: F401
    except ImportError:
        fail(
            "--peer-certificate wants the package pyOpenSSL: "
            "pip install 'subscription-proxy-vsock[tls]'"
        )


def _signal_handlers(
    reactor: Any, service: ProxyService, reload: Callable[[], object] | None
) -> dict[signal.Signals, Callable[[], object]]:
    """What a signal makes C{service} do."""
    handlers: dict[signal.Signals, Callable[[], object]] = {
        signal.SIGUSR2: lambda: service.hand_over(reactor),
        # Whoever rotates logs may send it where there is none: it would end the process else.
        signal.SIGUSR1: (lambda: None) if service.log is None else service.log.reopen,
    }
    handlers[signal.SIGHUP] = reload or _nothing_to_read(reactor)
    return handlers


def _nothing_to_read(reactor: Any) -> Callable[[], None]:
    """For SIGHUP where no file is named: it ends the process only where the terminal is gone."""
    in_terminal = _has_terminal()

    def hung_up() -> None:
        if not in_terminal or _has_terminal():
            Logger("subproxy").info("SIGHUP: no file is named that could be read again")
            return
        try:
            reactor.stop()
        except ReactorNotRunning:
            pass  # it stops already

    return hung_up


def _has_terminal() -> bool:
    """Whether there is a terminal at the other end of standard input; no more when it has gone."""
    return sys.stdin is not None and sys.stdin.isatty()


def _put_policy_in_force(effective: Effective, registrar: Registrar) -> None:
    """Let the policy decide, or say that there is none."""
    settings = effective.settings
    path = settings.policy
    if not effective.has_policy:
        Logger("subproxy").info("{what}", what=without_policy(settings.http, settings.https))
    try:
        policy = effective.read_policy()
    except OSError as error:
        fail(f"--policy={path}: {error.strerror}")
    except PolicyError as error:
        fail("\nsubproxy: ".join(f"{path}:{line}: {text}" for line, text in error.problems))
    if policy is not None:
        registrar.policy = policy


def _reloader(
    service: ProxyService, effective: Effective, sources: Sources | None
) -> Reloader | None:
    """What reads the files again; None if there is none."""
    has_file = sources is not None and (
        sources.path is not None or effective.settings.machine_files is not None
    )
    if not has_file and effective.settings.policy is None and not service.certificates:
        return None
    from subproxy.app.reload import Reloader

    read = sources.read if sources is not None and has_file else effective.again
    return Reloader(service, effective.settings, read, effective.has_policy)


def _access_log(reactor: Any, settings: Settings, may_wait: bool) -> AccessLog | None:
    if settings.access_log == "none":
        return None
    try:
        log = AccessLog(settings.access_log, settings.access_log_format, reactor, may_wait=may_wait)
    except OSError as error:
        fail(f"--access-log={settings.access_log}: {why(error)}")
    if settings.admin is not None:
        log.recent = RecentRequests()
    return log
