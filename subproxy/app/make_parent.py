"""The start of a proxy with several workers: what is forked when, and from what."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from twisted.internet import epollreactor
from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.app.build import provide_openssl
from subproxy.app.listener import NotListening
from subproxy.app.parent_state import TRIAL, ParentState
from subproxy.app.reload import in_force
from subproxy.config.configuration_error import ConfigurationError
from subproxy.config.options import Options
from subproxy.core.access.policy import PolicyError
from subproxy.process import compiled
from subproxy.process.fd_limits import raise_limit
from subproxy.process.gc_tuning import tune
from subproxy.process.reactor_choice import make_monotonic
from subproxy.process.sd_notify import SupervisorNotifier
from subproxy.process.signals import stop_on_signals
from subproxy.process.startup import UMASK, detach, fail, fail_running, started
from subproxy.workers.template import WorkerProcess, fork_template

if TYPE_CHECKING:
    from subproxy.frontend.peer.host_certificates import HostCertificates
    from subproxy.frontend.tls.certificate_reader import CertificateReader


WORKER_MODULES = (
    *("subproxy.reactor.ring_reactor", "subproxy.reactor._probe", "subproxy.reactor._relay"),
    *("subproxy.reactor.tcp", "subproxy.reactor.unix", "subproxy.fastpath._connection"),
    *("subproxy.fastpath.subscription_protocol", "subproxy.fastpath.data_connection"),
    *("subproxy.fastpath.peer_protocol", "subproxy.fastpath.http2_protocol"),
    "subproxy.fastpath._http2_connection",
)
"""What a worker imports by and by, beside L{subproxy.app.worker}; none makes a reactor."""

TLS_MODULES = ("subproxy.frontend.tls.system_engine", "subproxy.frontend.tls._connection")
"""The same where there is TLS."""


def make_parent(options: Options) -> Any:
    """
    The parent's service. In a worker this does not return.

    @raise SystemExit: something that was asked for can't be had; standard error says what.
    """
    config: Any = getattr(options, "parent", None) or {}
    tried = os.environ.pop(TRIAL, "")
    if tried:
        _try(options, tried)
    state = ParentState.of_environment()
    if state is None:
        detach(config)
    else:
        _stay_detached(config)
    shortfall = compiled.shortfall()
    _pin(options)
    certificates = _certificates(options)
    host = _host_certificates(options)
    forked = fork_template(
        lambda: _refresh(options, certificates),
        lambda: _read_again(options, certificates),
        lambda: _prepare_template(options, state),
    )
    if isinstance(forked, WorkerProcess):
        from subproxy.app.worker import run_worker

        run_worker(options, forked.end, certificates, host)
    if shortfall is not None:
        Logger("subproxy").warn("{shortfall} (see README, Install)", shortfall=shortfall)
    raise_limit()
    if "twisted.internet.reactor" not in sys.modules:
        epollreactor.install()
    from twisted.internet import reactor

    from subproxy.app.parent import NotStarting, ParentService

    make_monotonic(reactor)
    supervisor = SupervisorNotifier(config)
    if state is not None:
        supervisor.succeed(state.pidfile)
    service = ParentService(reactor, options, forked, supervisor, config.get("uid"), state, host)
    stop_on_signals(reactor, service.hurry)

    def up(_: object) -> None:
        started(config)
        supervisor.ready()

    def running() -> None:
        service.when_listening().addCallback(up).addErrback(down)

    def down(failure: Failure) -> None:
        if not failure.check(NotListening, NotStarting):
            Logger("subproxy").failure("the start failed", failure)
        fail_running(reactor, failure.getErrorMessage())

    reactor.callWhenRunning(running)
    tune()
    return service


def _prepare_template(options: Options, state: ParentState | None) -> None:
    """
    Make the template ready, from which workers are.

    What the parent's former program has left is the parent's. Whoever else had it open would keep
    a guest's connection from ending with the parent's, and a worker from seeing the parent's end.
    """
    for each in () if state is None else state.descriptors():
        os.close(each)
    _import_for_workers(options)


def _import_for_workers(options: Options) -> None:
    """
    Import in the template what workers would, each for itself: that is most of their start.

    What was not compiled, or can't be loaded here, they do without as ever.
    """
    import subproxy.app.worker  # noqa: F401

    for each in WORKER_MODULES + (TLS_MODULES if options.settings.https else ()):
        with suppress(ImportError):
            import_module(each)


def _stay_detached(config: Any) -> None:
    """This program was run by another one, in the same process: that is where it has to be."""
    if config and not config.get("nodaemon", True):
        config["nodaemon"] = True
        config["umask"] = UMASK if config["umask"] is None else config["umask"]


def _pin(options: Options) -> None:
    """Workers go by what is in force now, whatever is in the files when they are made."""
    path = options.settings.policy
    try:
        policy = options.effective.read_policy()
    except OSError as error:
        fail(f"--policy={path}: {error.strerror}")
    except PolicyError as error:
        fail("\nsubproxy: ".join(f"{path}:{line}: {text}" for line, text in error.problems))
    options.effective = options.effective.with_policy(policy, options.settings)


def _certificates(options: Options) -> CertificateReader | None:
    """
    What is shown over TLS, as the files are now; None if nothing is.

    Workers go on from there: what was good once is shown until there is something better.
    """
    if not options.settings.https:
        return None
    from subproxy.app.tls import read_certificates  # a dozen modules, of which others have no use

    settings, more = options.settings, []
    if settings.acme is not None:
        from subproxy.app.acme import acme_folder

        more.append(acme_folder(settings, (getattr(options, "parent", None) or {}).get("uid")))
    return read_certificates(settings, more)


def _host_certificates(options: Options) -> HostCertificates | None:
    """The same of this host among others; None if there are none."""
    if options.settings.peer_certificate is None:
        return None
    provide_openssl()
    # Of those who have hosts; workers find them imported.
    from subproxy.app import host_door  # noqa: F401
    from subproxy.app.hosts import read_host_certificates

    return read_host_certificates(options.settings)


def _refresh(options: Options, certificates: CertificateReader | None) -> None:
    """The same for what a reload has put in force."""
    if certificates is not None:
        certificates.store.forget_removed(certificates.now())
        certificates.read()
    try:
        effective = options.sources.read()
        policy = effective.read_policy()
    except (ConfigurationError, PolicyError, OSError, ValueError) as error:
        Logger("subproxy").error("workers go by what was before: {error}", error=error)
        return
    options.settings = in_force(options.settings, effective.settings)
    options.effective = effective.with_policy(policy, options.settings)


def _read_again(options: Options, certificates: CertificateReader | None) -> int:
    """
    Read what changes without a reload: a worker that is made later is not to go by what was before.

    @return: how many good certificates were read.
    """
    options.effective = options.effective.with_site_files()
    return 0 if certificates is None else certificates.read()


def _try(options: Options, places: str) -> None:
    """
    Find out whether the program would start, as far as that changes nothing; and end.

    @param places: a list in JSON: what the program that is there listens on. One of before that was
        told has said a number.
    """
    from subproxy.app import parent, worker  # noqa: F401
    from subproxy.app.trial_listeners import look_at_listeners

    _pin(options)
    there = json.loads(places)
    if isinstance(there, list):
        look_at_listeners(options.settings, options.effective.has_policy, there)
    _certificates(options)
    _host_certificates(options)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
