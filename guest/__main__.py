"""C{python -m guest}: runs an application that subscribes to a proxy."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import Any

from twisted.logger import Logger

from guest.cli import options
from guest.core.errors import GuestError, RegistrationRefused, SubscriptionReplaced
from guest.core.route import Route
from guest.twisted.one_shot import OneShotObserver

FAILED = 1
USAGE = 2
BAD_IMPORT = 3
REFUSED = 4
REPLACED = 5
NO_WORKER = 6


class Runner:
    """
    Runs one application until a signal, a refusal or a replacement ends it.

    @ivar status: what the process will exit with.
    """

    _log = Logger()

    def __init__(self, reactor: Any, service: Any, keepGoing: bool) -> None:
        self._reactor = reactor
        self._service = service
        self._keepGoing = keepGoing
        self._stopping = False
        self._end: OneShotObserver[object] = OneShotObserver()
        self._end.wait().addCallback(lambda _: reactor.stop())
        self.status = 0

    def run(self) -> int:
        """Run the reactor; return the exit status."""
        self._reactor.callWhenRunning(self._start)
        self._reactor.run()
        return self.status

    def _start(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._reactor.callFromThread(self.stop, 0))
        self._service.whenOver().addCallback(self._over)
        self._service.startService()

    def stop(self, status: int) -> None:
        """Drain, then stop; at once if asked again."""
        if self._stopping:
            self._service.abort()
            self._end.fire(None)
            return
        self._stopping = True
        self.status = status
        self._log.info("draining")
        self._service.stopService().addBoth(self._end.fire)

    def _over(self, reason: GuestError) -> None:
        if not self._stopping:
            complain(str(reason))
            self.stop(REPLACED if isinstance(reason, SubscriptionReplaced) else REFUSED)

    # An Announcer (guest.twisted.factory).

    def registered(self, protocol: Any, route: Route) -> None:
        """Say so, for people and for scripts that wait for it."""
        print(f"registered {route}", flush=True)

    def refused(self, protocol: Any, refusal: RegistrationRefused) -> None:
        """Say why; leave, unless told to stay."""
        complain(f"refused {refusal}")
        if not self._keepGoing and not self._stopping:
            self.stop(REFUSED)


def complain(text: str) -> None:
    """One line on stderr."""
    print(f"guest: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run a command line; return the exit status."""
    asked = options.parse(arguments)
    _log(asked.log_level)

    from guest.cli.loading import BadImport, load
    from guest.cli.worker import NoFreeWorker, WorkerSlot, take
    from guest.twisted.factory import SubscriberFactory
    from guest.twisted.service import SubscriberService

    try:
        application = load(asked.target)
    except BadImport as error:
        complain(str(error))
        return BAD_IMPORT

    from twisted.internet import reactor

    try:
        endpoint = _endpoint(reactor, asked.proxy)
    except ValueError as error:
        complain(f"--proxy={asked.proxy}: {error}")
        return USAGE
    try:
        slot = take(asked.name) if asked.worker is None else WorkerSlot(asked.worker, None)
    except (NoFreeWorker, OSError) as error:
        complain(str(error))
        return NO_WORKER
    if isinstance(application, SubscriberFactory):
        factory = application
        factory.routes.extend(asked.routes)
    else:
        factory = SubscriberFactory(application, asked.name, asked.routes)
    factory.worker = slot.number
    factory.concurrency = asked.concurrency or factory.concurrency
    factory.weight = asked.weight or factory.weight
    factory.drainTimeout = asked.drain_timeout
    service = SubscriberService(endpoint, factory, retryRefused=asked.keep_going, where=asked.proxy)
    runner = Runner(reactor, service, asked.keep_going)
    factory.announcer = runner
    try:
        return runner.run()
    finally:
        slot.release()


def _endpoint(reactor: Any, description: str) -> Any:
    """
    The endpoint of a description; C{vsock:} ones are our own.

    @raise ValueError: it is not one.
    """
    from twisted.internet.endpoints import clientFromString

    from guest.twisted.vsock import VsockClientEndpoint, parse_vsock

    address = parse_vsock(description)
    if address is not None:
        return VsockClientEndpoint(reactor, address.cid, address.port)
    try:
        return clientFromString(reactor, description)
    except (ValueError, TypeError, KeyError) as error:
        hint = f"; of a socket say unix:{description}" if description.startswith(("/", ".")) else ""
        raise ValueError(f"not a client endpoint: {error}{hint}") from error


def _log(level: str) -> None:
    from twisted.logger import (
        FilteringLogObserver,
        LogLevel,
        LogLevelFilterPredicate,
        globalLogBeginner,
        textFileLogObserver,
    )

    predicate = LogLevelFilterPredicate(LogLevel.levelWithName(level))
    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [predicate])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
