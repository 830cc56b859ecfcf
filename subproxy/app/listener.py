"""A listener as a service: says where it listens, and ends the program if it cannot."""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import ENOENT
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.endpoints.errors import CannotListenAt
from subproxy.process.startup import fail


class NotListening(Exception):
    """A listener cannot be had; its text is one line for a person."""


def why(error: BaseException | None) -> str:
    """What the system says, in few words; a folder that is not there by its name."""
    path: object = None
    if type(error) is CannotListenError and isinstance(error.socketError, OSError):
        path, error = error.port, error.socketError
    if not isinstance(error, OSError) or isinstance(error, CannotListenAt):
        return str(error)
    if not isinstance(path, (str, bytes)):
        path = error.filename2 or error.filename  # the lock of a UNIX socket is a symlink
    folder = ""
    if isinstance(path, (str, bytes)):
        folder = os.path.dirname(os.path.abspath(os.fsdecode(path)))
    if error.errno == ENOENT and folder and not os.path.isdir(folder):
        return f"there is no folder {folder}"
    return error.strerror or str(error)


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
        self._starting = False
        self._tried: Deferred[None] = Deferred()
        self._listening: Deferred[None] | None = None

    def privilegedStartService(self) -> None:
        """Listen, before privileges are shed."""
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._begin()

    def startService(self) -> None:
        """Listen, if that was not done before."""
        super().startService()  # type: ignore[no-untyped-call]
        self._begin()

    def prepared(self, prepare: Callable[[IListeningPort], None]) -> None:
        """Do that, too, with the port as soon as it listens."""
        before = self._prepare

        def both(port: IListeningPort) -> None:
            if before is not None:
                before(port)
            prepare(port)

        self._prepare = both

    def look(self) -> None:
        """Take who waits in the queue of a socket that is shared, where the port has to look."""
        look: Callable[[], None] | None = getattr(self.port, "look", None)
        if look is not None:
            look()

    async def stopListening(self) -> None:
        """Take no new connections; those that are open live on."""
        if self._listening is not None and self.port is None:
            self._listening.cancel()
        port, self.port = self.port, None
        if port is not None:
            stopped: Any = maybeDeferred(port.stopListening)
            try:
                await stopped
            except OSError as error:
                # It is closed. Its name was gone before: somebody has cleaned up the folder.
                self._log.warn("{where}: {error}", where=self.where, error=error)

    def listen_again(self) -> None:
        """After L{stopListening}: do it again, if it can be had."""
        self._listening = None
        self._tried = Deferred()
        self._begin(self._log_only)
        self._tried.addErrback(lambda failure: self._log_only(str(failure.value)))

    def when_listening(self) -> Deferred[None]:
        """
        Fires when it listens, or need not since it is optional. To be asked for once.

        @return: fails with L{NotListening}, if that comes late: another proxy that starts in
            the same folder is waited for, until the reactor runs.
        """
        return self._tried

    def close_now(self) -> None:
        """Close it without the reactor, which never ran: what has a name in a folder loses it."""
        port, self.port = self.port, None
        if port is not None:
            close_now(port)

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
        self._starting = True
        self._listening = Deferred.fromCoroutine(self._listen())
        self._listening.addCallbacks(self._tried.callback, self._failed, errbackArgs=(failures,))
        self._starting = False
        if failures:
            self._log.error("{reason}", reason=failures[0])
            (give_up or self._give_up)(failures[0])

    async def _listen(self) -> None:
        self.port = await self.endpoint.listen(self.factory)
        if self._prepare is not None:
            self._prepare(self.port)
        host = self.port.getHost()
        self._log.info("{what} on {where} ({host})", what=self.what, where=self.where, host=host)

    def _failed(self, failure: Failure, failures: list[str]) -> None:
        reason = f"cannot listen for {self.what} on {self.where}: {why(failure.value)}"
        if self.optional:
            self._log.warn("{reason}", reason=reason)
            self._tried.callback(None)
        elif self._starting:
            failures.append(reason)
        elif failure.check(CancelledError):
            self._tried.callback(None)
        else:
            self._log.error("{reason}", reason=reason)
            self._tried.errback(NotListening(reason))


def close_now(port: Any) -> None:
    """Close a port without the reactor."""
    try:
        port.connectionLost(Failure(ConnectionDone()))
    except Exception:
        ListenerService._log.failure("{port} cannot be closed", port=port)
