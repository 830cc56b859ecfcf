"""The proxy as one service: what it starts, and in which order it stops."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, DeferredList, FirstError, gatherResults, maybeDeferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.app.listener import ListenerService
from subproxy.app.periodic import PeriodicService
from subproxy.app.site_files_service import SiteFilesService
from subproxy.core.dispatcher import Dispatcher
from subproxy.frontend.factory import Http1Factory
from subproxy.process.inherited_sockets import SocketHandoff
from subproxy.process.sd_notify import SupervisorNotifier
from subproxy.process.upgrade import start_new_process
from subproxy.subscription.factory import SubscriptionFactory
from subproxy.subscription.registrar import Registrar
from subproxy.telemetry.access_log import AccessLog

if TYPE_CHECKING:
    from subproxy.app.machine_routes import MachineRoutes
    from subproxy.app.peer_connections import PeerConnections
    from subproxy.frontend.tls.certificate_service import CertificateService

HOUSEKEEPING_INTERVAL = 0.25
"""Seconds between looks at what has expired: vacant routes, waiting exchanges."""

CLOSING_LIMIT = 3.0
"""Seconds that subscriptions have to end, at a stop, after everything is answered."""

QUIET_LIMIT = 1.0
"""Seconds that a hand-over waits for clients to be done with this process, before guests leave."""

QUIET_STEP = 0.05


class ProxyService(MultiService):
    """
    Listeners for clients and guests, and what connects them.

    @ivar certificates: what is shown over TLS, if anything is.
    @ivar site_files: keeps the files in force that sites name.
    @ivar peers: the other processes of the proxy, or those of other hosts, if there are any.
    @ivar machines: the routes of declared machines, where a parent starts these.
    @ivar duties: what another process does as soon as that has taken over.
    @ivar inherits: its sockets may be another process's, which goes on with them if this one
        does not come up.

    At a stop nothing new is accepted, what is in flight is finished (for at most
    C{shutdown_timeout} seconds), then guests are told C{bye}.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        registrar: Registrar,
        dispatcher: Dispatcher,
        http: Http1Factory,
        subscriptions: SubscriptionFactory,
        http_listeners: Sequence[ListenerService],
        vsock_listeners: Sequence[IService],
        shutdown_timeout: float,
        log: AccessLog | None = None,
        supervisor: SupervisorNotifier | None = None,
        certificates: CertificateService | None = None,
        *,
        site_files: SiteFilesService,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.clock = clock
        self.registrar = registrar
        self.dispatcher = dispatcher
        self.http = http
        self.subscriptions = subscriptions
        self.http_listeners = http_listeners
        self.vsock_listeners = vsock_listeners
        self.certificates = certificates
        self.admin_listeners: list[ListenerService] = []
        self.inherits = False
        self._handing = False
        self._next: Deferred[int] | None = None  # a new process that is to take over
        self._hurried = False
        self.peers: PeerConnections | None = None
        self.peer_listeners: list[ListenerService] = []
        self.machines: MachineRoutes | None = None
        self.duties: list[IService] = []
        self._limits: set[Deferred[None]] = set()  # a stop may come amid a hand-over's last answers
        self.log = log
        self.supervisor = supervisor or SupervisorNotifier()
        self.shutdown_timeout = shutdown_timeout
        self._lags: deque[float] = deque([0.0], maxlen=120)
        self._expected = registrar.now()
        housekeeping = PeriodicService(HOUSEKEEPING_INTERVAL, self._housekeep, clock)
        self.site_files = site_files
        first: list[IService] = [housekeeping, self.site_files]
        if certificates is not None:
            first.append(certificates)
        for child in (*first, *http_listeners, *vsock_listeners):
            child.setServiceParent(self)

    def lag(self) -> float:
        """The longest delay of housekeeping within the last half minute or so, in seconds."""
        return max(self._lags)

    def _housekeep(self) -> None:
        try:
            now = self.registrar.now()
            self._lags.append(max(0.0, now - self._expected))
            self._expected = now + HOUSEKEEPING_INTERVAL
            self.supervisor.alive(now)
            self.registrar.expire(now)
            self.dispatcher.expire(now)
            if self.machines is not None:
                self.machines.look()
            for listener in self._client_listeners():
                listener.look()
        except Exception:
            self._log.failure("housekeeping failed")

    def stopService(self) -> Deferred[Any]:
        """Drain, then stop everything."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._log.info("stopping: {count} requests in flight", count=self.http.active)
        self.supervisor.stopping()
        # Who is told to stop is not to have another one in its place.
        self._handing = True
        successor, self._next = self._next, None
        if successor is not None:
            successor.cancel()
        await DeferredList(
            [Deferred.fromCoroutine(each.stopListening()) for each in self._client_listeners()]
        )
        await self._within(self.shutdown_timeout, self.http.drain())
        if self.peers is not None:
            await self._within(self.shutdown_timeout, self.peers.leave())
        # Until now a body may have needed a data connection. A guest that is sent away dials
        # again at once, and would be waited for as if it had not been.
        await self._within(CLOSING_LIMIT, self._accept_no_guests())
        await self._within(CLOSING_LIMIT, self.subscriptions.close(b"shutdown", "the proxy stops"))
        await super().stopService()  # type: ignore[no-untyped-call]
        self.http.close()
        if self.log is not None:
            self.log.close()

    def _accept_no_guests(self) -> Deferred[Any]:
        return DeferredList(
            [maybeDeferred(each.stopService) for each in self.vsock_listeners],
            consumeErrors=True,
        )

    def privilegedStartService(self) -> None:
        """Listen; if that cannot be, nothing is left behind."""
        with self._starting():
            super().privilegedStartService()  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        """Start all; what came before is no lag of the reactor."""
        self._expected = self.registrar.now()
        with self._starting():
            super().startService()  # type: ignore[no-untyped-call]

    @contextmanager
    def _starting(self) -> Iterator[None]:
        with self.supervisor.starting():
            try:
                yield
            except SystemExit:
                if not self.inherits:
                    for each in self._listeners():
                        each.close_now()
                raise

    def _listeners(self) -> list[Any]:
        return [*self._client_listeners(), *self.vsock_listeners, *self.admin_listeners]

    def _client_listeners(self) -> list[ListenerService]:
        """Those by which requests come."""
        return [*self.http_listeners, *self.peer_listeners]

    def when_listening(self) -> Deferred[Any]:
        """
        Fires when every listener has what it wants. To be asked for once.

        @return: fails with L{NotListening<subproxy.app.listener.NotListening>} if one cannot have
        it.
        """
        asked = [
            each.when_listening() for each in self._listeners() if isinstance(each, ListenerService)
        ]
        return gatherResults(asked, consumeErrors=True).addErrback(_first)

    def hurry(self) -> None:
        """Cut a stop short: wait for no request any longer."""
        self._hurried = True
        for limit in list(self._limits):
            limit.cancel()

    def hand_over(self, reactor: Any) -> None:
        """Let a new process take over, then end; see L{subproxy.process.upgrade}."""
        if self._handing or not self.running:
            self._log.info("a hand-over is under way already")
            return
        self._handing = True
        done = Deferred.fromCoroutine(self._hand_over(reactor))
        done.addErrback(lambda failure: self._log.failure("the hand-over failed", failure=failure))

    async def _hand_over(self, reactor: Any) -> None:
        listeners = [*self._client_listeners(), *self.vsock_listeners]
        legacy = SocketHandoff(listeners, self.registrar.assigned.plain)
        self._log.info("handing over to a new process")
        for listener in self.admin_listeners:
            await listener.stopListening()
        try:
            pidfile = self.supervisor.pidfile
            self._next = Deferred.fromCoroutine(
                start_new_process(reactor, legacy, self.registrar.registry, pidfile)
            )
            pid = await self._next
        except Exception as error:
            if self._next is None:
                self._log.info("no new process comes up: this one stops")
                return
            self._log.error("no new process came up, so this one goes on: {error}", error=error)
            for listener in self.admin_listeners:
                listener.listen_again()
            self._handing = False
            self._next = None
            return
        self._next = None
        self.supervisor.succeeded(pid)
        self._log.info("process {pid} has taken over", pid=pid)
        await self._retire(legacy)
        try:
            reactor.stop()
        except ReactorNotRunning:
            pass  # a signal has told it to stop, too

    def retire(self) -> Deferred[None]:
        """
        Leave the listeners to another process that has them already, and finish.

        @return: fires when all is answered, and guests are gone.
        """
        return Deferred.fromCoroutine(self._retire(SocketHandoff([*self._client_listeners()])))

    async def _retire(self, legacy: SocketHandoff) -> None:
        for duty in self.duties:
            duty.stopService()
        if self.peers is not None:
            self.peers.alone = True
            self.peers.drain()
        await legacy.abandon(self.clock)
        # Who is connected is answered here, for the last time. Guests that nobody here depends
        # on move at once, the others as soon as it is quiet: until they have, requests wait there.
        # Other hosts know the new process by then; this one may ask them until it is quiet.
        self.http.last_answers()
        self.subscriptions.drain(spare=True)
        await self._quiet()
        self.subscriptions.drain()
        if self.peers is not None:
            self.peers.ask_no_more()
        await self._within(self.shutdown_timeout, self.http.drain())
        if self.peers is not None:
            await self._within(self.shutdown_timeout, self.peers.when_idle())
        await self._within(self.shutdown_timeout, self.subscriptions.when_empty())

    async def _quiet(self) -> None:
        """Wait until nobody has asked anything for a moment, for at most L{QUIET_LIMIT}."""
        quiet = 0
        for _ in range(int(QUIET_LIMIT / QUIET_STEP)):
            await deferLater(self.clock, QUIET_STEP)
            quiet = 0 if self.http.active else quiet + 1
            if quiet == 3 or not self.http.connections:
                break

    async def _within(self, seconds: float, done: Deferred[None]) -> None:
        limit: Deferred[None] = deferLater(self.clock, 0 if self._hurried else seconds)
        limit.addErrback(lambda _: None)
        self._limits.add(limit)
        await DeferredList([done, limit], fireOnOneCallback=True, fireOnOneErrback=True)
        self._limits.discard(limit)
        limit.cancel()


def _first(failure: Failure) -> Failure:
    """The failure of the one Deferred that has failed, out of a C{FirstError}."""
    error = failure.value
    return error.subFailure if isinstance(error, FirstError) else failure
