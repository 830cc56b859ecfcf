"""
What C{twistd subproxy} runs: its options, and the service that it is.

What can be set is in L{subproxy.config.settings}, how a proxy is built of that in
L{subproxy.app.build}; here stands the order of a start.
"""

from __future__ import annotations

from subproxy.process.lean_imports import lean_imports

with lean_imports():
    from twisted.application.service import Service
    from twisted.logger import Logger
    from twisted.python.failure import Failure

    from subproxy.app.build import build
    from subproxy.app.listener import NotListening
    from subproxy.config.options import Options
    from subproxy.process import compiled
    from subproxy.process.gc_tuning import tune
    from subproxy.process.inherited_sockets import InheritedSockets
    from subproxy.process.reactor_choice import choose, make_monotonic, set_spin
    from subproxy.process.sd_notify import SupervisorNotifier
    from subproxy.process.signals import stop_on_signals
    from subproxy.process.startup import detach, fail_running, started

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> Service:
    """The service that C{twistd subproxy} runs; it is in the background then, if it is to be."""
    config = getattr(options, "parent", None)
    if options.settings.workers > 1 or options.effective.may_have_machines:
        with lean_imports():
            from subproxy.app.make_parent import make_parent
        made: Service = make_parent(options)
        return made
    detach(config)
    chosen = choose()
    from twisted.internet import reactor

    make_monotonic(reactor)
    Logger("subproxy").info("reactor: {chosen}", chosen=chosen)
    shortfall = compiled.shortfall()
    if shortfall is not None:
        Logger("subproxy").warn("{shortfall} (see README, Install)", shortfall=shortfall)
    set_spin(reactor, options.settings.spin)
    inheritance = InheritedSockets.of_environment()
    supervisor = SupervisorNotifier(config)
    uid = (config or {}).get("uid")
    service = build(
        options.settings,
        reactor,
        inheritance,
        supervisor,
        uid,
        options.sources,
        options.effective,
    )
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
        service.when_listening().addCallback(up).addErrback(down)

    def down(failure: Failure) -> None:
        if not failure.check(NotListening):
            Logger("subproxy").failure("the start failed", failure)
        fail_running(reactor, failure.getErrorMessage())

    reactor.callWhenRunning(running)
    tune()
    return service
