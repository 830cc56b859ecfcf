"""Runs a Twisted application until a signal, a refusal or a replacement ends it."""

from __future__ import annotations

import signal
import sys
from typing import Any

from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from guest.core.errors import GuestError, RegistrationRefused
from guest.core.route import Route
from guest.core.statuses import REFUSED, announce, complain, ended_with
from guest.twisted.one_shot import OneShotObserver


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
            self.stop(ended_with(reason))

    # An Announcer (guest.twisted.factory).

    def registered(self, protocol: Any, route: Route) -> None:
        """Say so, for people and for scripts that wait for it."""
        announce(f"registered {route}")

    def refused(self, protocol: Any, refusal: RegistrationRefused) -> None:
        """Say why; leave, unless told to stay."""
        complain(f"refused {refusal}")
        if not self._keepGoing and not self._stopping:
            self.stop(REFUSED)


def endpoint_of(reactor: Any, description: str) -> Any:
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


def begin_logging(level: str) -> None:
    """Log to stderr from C{level} on."""
    predicate = LogLevelFilterPredicate(LogLevel.levelWithName(level))
    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [predicate])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
