"""A listener as a service: says where it listens, and ends the program if it cannot."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure


def fail(reason: str) -> NoReturn:
    """
    End the program with one line and status 1.

    @raise SystemExit: always.
    """
    print(f"subproxy: {reason}", file=sys.stderr)
    raise SystemExit(1)


class ListenerService(Service):
    """
    Listens while the service runs.

    It listens before privileges are shed and before the reactor runs, so that what cannot be
    listened on ends the program at its start, with one line and status 1, where
    C{StreamServerEndpointService} would log it and go on without.

    @ivar what: what is listened for, for the log.
    @ivar where: the endpoint as the operator wrote it.
    @ivar optional: log it and go on if it cannot be had.
    @param prepare: called with the port as soon as it listens.
    """

    _log = Logger()

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        factory: IProtocolFactory,
        what: str,
        where: str,
        *,
        optional: bool = False,
        give_up: Callable[[str], None] = fail,
        prepare: Callable[[IListeningPort], None] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.factory = factory
        self.what = what
        self.where = where
        self.optional = optional
        self.port: IListeningPort | None = None
        self._give_up = give_up
        self._prepare = prepare
        self._listening: Deferred[None] | None = None

    def privilegedStartService(self) -> None:
        """Listen, before privileges are shed."""
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._begin()

    def startService(self) -> None:
        """Listen, if that was not done before."""
        super().startService()  # type: ignore[no-untyped-call]
        self._begin()

    async def stopListening(self) -> None:
        """Take no new connections; those that are open live on."""
        if self._listening is not None and self.port is None:
            self._listening.cancel()
        port, self.port = self.port, None
        if port is not None:
            stopped: Any = port.stopListening()
            if stopped is not None:
                await stopped

    def listenAgain(self) -> None:
        """After L{stopListening}: do it again, if it can be had."""
        self._listening = None
        self._begin(self._log_only)

    def _log_only(self, reason: str) -> None:
        self._log.error("{reason}", reason=reason)

    def stopService(self) -> Deferred[None]:
        """Stop listening."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self.stopListening())

    def _begin(self, give_up: Callable[[str], None] | None = None) -> None:
        if self._listening is not None:
            return
        failures: list[str] = []
        self._listening = Deferred.fromCoroutine(self._listen())
        self._listening.addErrback(self._failed, failures)
        if failures:
            (give_up or self._give_up)(failures[0])

    async def _listen(self) -> None:
        self.port = await self.endpoint.listen(self.factory)
        if self._prepare is not None:
            self._prepare(self.port)
        host = self.port.getHost()
        self._log.info("{what} on {where} ({host})", what=self.what, where=self.where, host=host)

    def _failed(self, failure: Failure, failures: list[str]) -> None:
        reason = f"cannot listen for {self.what} on {self.where}: {failure.getErrorMessage()}"
        if self.optional:
            self._log.warn("{reason}", reason=reason)
        else:
            failures.append(reason)
