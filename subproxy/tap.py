"""Assembles the proxy from its options; decides nothing (see L{subproxy.options})."""

from __future__ import annotations

import signal
from random import Random
from typing import Any

from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger

from subproxy.core.admission import Admission, AdmissionLimits
from subproxy.core.balancer import BALANCERS
from subproxy.core.dispatcher import Dispatcher
from subproxy.core.forwarded import Forwarding, Trust
from subproxy.core.policy import Policy, PolicyError
from subproxy.core.registry import Registry
from subproxy.core.router import Router
from subproxy.endpoints.folder import FolderService
from subproxy.endpoints.hybrid import HybridVsockServerEndpoint
from subproxy.endpoints.identity import identityOfTransport
from subproxy.fastpath.available import engage
from subproxy.frontend.access_log import AccessLog
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.limits import TABLE
from subproxy.frontend.limits import Limits as HttpLimits
from subproxy.listener import ListenerService, fail
from subproxy.options import Options, VsockListen
from subproxy.policy_file import PolicyFile
from subproxy.reactor_choice import choose
from subproxy.service import ProxyService
from subproxy.signals import SignalService
from subproxy.subscription.factory import SubscriptionFactory
from subproxy.subscription.registrar import Registrar
from subproxy.subscription.settings import Settings

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> ProxyService:
    """The service that C{twistd subproxy} runs."""
    chosen = choose()
    from twisted.internet import reactor

    Logger("subproxy").info("reactor: {chosen}", chosen=chosen)
    return build(options, reactor)


def build(options: Options, reactor: Any) -> ProxyService:
    """The proxy of C{options} on C{reactor}."""
    random = Random()
    registry = Registry()
    router = Router(registry)
    admission = Admission(
        BALANCERS[options["balance"]](),
        random,
        AdmissionLimits(
            pool=options["queue"],
            total=options["queue-total"],
            busy=options["queue-timeout"],
            vacant=options["hold"],
        ),
    )
    dispatcher = Dispatcher(router, admission, reactor.seconds)
    registrar = Registrar(registry, reactor.seconds, dispatcher.capacity)
    policy_file = _policy_file(options, registrar)
    subscriptions = SubscriptionFactory(
        reactor,
        dispatcher,
        registrar,
        identityOfTransport,
        Settings(
            ping_interval=options["ping-interval"],
            ping_timeout=options["ping-timeout"],
            timeout=options["guest-timeout"],
        ),
        random,
    )
    log = _access_log(reactor, options)
    http = Http1Factory(
        dispatcher,
        HttpLimits(**{row.name: options[row.option] for row in TABLE}),
        reactor,
        log,
        Forwarding(Trust(options["trust"])),
    )
    _fastpath(options, http, subscriptions)
    service = ProxyService(
        reactor,
        registrar,
        dispatcher,
        http,
        subscriptions,
        [_http_listener(reactor, where, http) for where in options["http"]],
        [_vsock_listener(reactor, each, subscriptions, options) for each in options["vsock"]],
        options["shutdown-timeout"],
        log,
    )
    handlers = {}
    if log is not None:
        handlers[signal.SIGUSR1] = log.reopen
    if policy_file is not None:

        def changed(policy: Policy) -> None:
            registrar.policy = policy
            subscriptions.policyChanged()

        policy_file.changed = changed
        handlers[signal.SIGHUP] = policy_file.reload
    service.addService(SignalService(reactor, handlers))  # type: ignore[no-untyped-call]
    return service


def _fastpath(options: Options, http: Http1Factory, subscriptions: SubscriptionFactory) -> None:
    """Put the compiled path in the way, and say if there is none."""
    reason = "--no-fastpath" if options["no-fastpath"] else engage(http, subscriptions)
    if reason is not None:
        Logger("subproxy").info("every request takes the Python path: {reason}", reason=reason)


def _policy_file(options: Options, registrar: Registrar) -> PolicyFile | None:
    """Put the policy in force, or say that there is none."""
    path = options["policy"]
    if path is None:
        Logger("subproxy").info(
            "no policy is in force: any guest may claim any host and path (see --policy)"
        )
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
        fail(f"--access-log={options['access-log']}: {error.strerror}")


def _http_listener(reactor: Any, where: str, factory: Http1Factory) -> ListenerService:
    try:
        endpoint = serverFromString(reactor, where)
    except Exception as error:
        fail(f"--http={where}: {error}")
    return ListenerService(endpoint, factory, "HTTP", where)


def _vsock_listener(
    reactor: Any, listen: VsockListen, factory: SubscriptionFactory, options: Options
) -> IService:
    port = options["vsock-port"]
    owned = {
        "mode": options["vsock-mode"],
        "owner": options["vsock-owner"],
        "group": options["vsock-group"],
    }
    try:
        if listen.kind == "glob":
            return FolderService(reactor, listen.value, port, factory, **owned)
        if listen.kind == "path":
            endpoint = HybridVsockServerEndpoint(reactor, listen.value, port, **owned)
        else:
            endpoint = serverFromString(reactor, listen.value)
    except Exception as error:
        fail(f"--vsock={listen.value}: {error}")
    return ListenerService(endpoint, factory, "guests", listen.value, optional=listen.optional)
