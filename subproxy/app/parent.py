"""
The parent of several workers: it owns every listening socket, and serves no HTTP.

It starts workers and replaces them, passes guests to them, and speaks for all of them: to the
operator by signals and the admin listener, to the supervisor, to its next program on SIGUSR2.
See docs/explanation/workers.md.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, DeferredList, gatherResults, maybeDeferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from subproxy.admin.pages import Reply
from subproxy.app.guest_placing import GuestPlacing
from subproxy.app.introductions import Introductions
from subproxy.app.listener import ListenerService
from subproxy.app.listeners import vsock_listeners
from subproxy.app.machine_hosting import MachineHosting
from subproxy.app.parent_hand_over import ParentHandOver
from subproxy.app.parent_sockets import make_client_sockets
from subproxy.app.parent_state import ParentState
from subproxy.app.periodic import PeriodicService
from subproxy.app.reload import in_force
from subproxy.app.trial_listeners import other_places
from subproxy.config.configuration_error import ConfigurationError
from subproxy.config.options import Options
from subproxy.core.access.policy import Policy, PolicyError
from subproxy.frontend.tls.ticket_key_ring import TicketKeyRing
from subproxy.process.inherited_sockets import InheritedSockets, SocketHandoff
from subproxy.process.sd_notify import SupervisorNotifier
from subproxy.process.signals import SignalService
from subproxy.process.startup import fail
from subproxy.workers import messages as msg
from subproxy.workers.client_sockets import ClientSockets
from subproxy.workers.crew import Crew
from subproxy.workers.greeting import GreetedConnection, GreetingFactory
from subproxy.workers.messages import ChannelMessage
from subproxy.workers.slots import Worker
from subproxy.workers.states import WorkerState
from subproxy.workers.template import TemplateProcess

if TYPE_CHECKING:
    from subproxy.app.cluster_hosting import ClusterHosting
    from subproxy.frontend.peer.host_certificates import HostCertificates

HOUSEKEEPING_INTERVAL = 0.25
"""Seconds between looks at what has expired."""

STOP_GRACE = 8.0
"""Seconds that workers have, beside C{--shutdown-timeout}, until they are killed."""


class NotStarting(Exception):
    """No worker has come up; the text is one line for a person."""


class ParentService(MultiService):
    """
    The parent.

    @ivar crew: the workers.
    @ivar guests: who passes guests to them.
    @ivar greetings: what reads their first frames.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        options: Options,
        template: TemplateProcess,
        supervisor: SupervisorNotifier,
        uid: int | None,
        state: ParentState | None = None,
        host: HostCertificates | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._options = options
        self._effective = options.effective
        self._settings = options.settings
        self._supervisor = supervisor
        self._state = state or ParentState()
        self._restarted = state is not None
        self._template = template
        self._templates = [*self._state.templates, template.pid]
        self._hurried = False
        self._unread: list[GreetedConnection] = []
        self._tickets = TicketKeyRing(monotonic, self._state.tickets)
        self._failure = ""
        self._up: Deferred[None] = Deferred()
        self._sockets = ClientSockets()
        self.guests = GuestPlacing(reactor, monotonic, self._conduct)
        self.guests.go_by(self._effective)
        self.greetings = GreetingFactory(reactor, self.guests, monotonic)
        self.crew = self.guests.crew = Crew(
            reactor, self._settings.workers, self, self._state.serial
        )
        self._introductions = Introductions(self.crew)
        self._handing_over = ParentHandOver(reactor, self.crew, self)
        self.greetings.policy = self._read_policy() or Policy()
        inheritance = InheritedSockets(self._state.listeners)
        self._inward: list[IService] = vsock_listeners(
            reactor, self._settings, self.greetings, inheritance
        )
        self.machines = MachineHosting(
            reactor, options.effective, self.guests, self.greetings, inheritance
        )
        self._uid = uid
        self.hosts = None if host is None else self._cluster_hosting(host, inheritance)
        self._inward += [] if self.hosts is None else self.hosts.listeners
        self._admin = self._admin_listener(uid)
        self._housekeeping = PeriodicService(HOUSEKEEPING_INTERVAL, self._housekeep, reactor)
        for child in (*self._inward, self._admin, self._housekeeping, self.hosts):
            if child is not None:
                child.setServiceParent(self)  # type: ignore[no-untyped-call]
        SignalService(reactor, self._handlers()).be_first(self)

    def _cluster_hosting(
        self, host: HostCertificates, inheritance: InheritedSockets
    ) -> ClusterHosting:
        from subproxy.app.cluster_hosting import ClusterHosting  # others have no use for it

        made = ClusterHosting(
            *(self._reactor, self._settings, host, lambda: self.crew),
            *(inheritance, self._state.cluster),
        )
        made.declare(self._effective.machines)
        return made

    def _admin_listener(self, uid: int | None) -> ListenerService | None:
        if self._settings.admin is None:
            return None
        from subproxy.app.parent_admin import parent_admin

        return parent_admin(
            *(self._reactor, self._settings, uid, self.crew),
            lambda: bool(self.running and self.crew.serving),
            self.reload,
            lambda: self.machines.manager,
            *(self.guests.table.assigned, self._options.sources, self.hosts),
        )

    def _handlers(self) -> dict[signal.Signals, Callable[[], object]]:
        return {
            signal.SIGUSR1: lambda: self.crew.tell(self.crew.slots, msg.Reopen()),
            signal.SIGUSR2: self.hand_over,
            signal.SIGHUP: self.reload,
        }

    def _read_policy(self) -> Policy | None:
        """The policy; or the program ends, with one line for each problem."""
        path = self._settings.policy
        try:
            return self._effective.read_policy()
        except OSError as error:
            fail(f"--policy={path}: {error.strerror}")
        except PolicyError as error:
            fail("\nsubproxy: ".join(f"{path}:{line}: {text}" for line, text in error.problems))

    # The start.

    def privilegedStartService(self) -> None:
        """Make all listening sockets, before privileges are shed."""
        with self._supervisor.starting():
            try:
                make_client_sockets(
                    *(self._reactor, self._settings, self._effective.has_policy),
                    *(self._state, self._sockets),
                )
                self.machines.prepare(self._uid, self._restarted)
                super().privilegedStartService()  # type: ignore[no-untyped-call]
            except SystemExit:
                self._give_back()
                raise

    def _give_back(self) -> None:
        """The start failed: nothing is left behind, unless it is another program's."""
        if not self._restarted:
            self._sockets.close()
            for each in self._listeners():
                each.close_now()

    def _listeners(self) -> list[Any]:
        return [*self._inward, *([] if self._admin is None else [self._admin])]

    def startService(self) -> None:
        """Start all, and the workers."""
        with self._supervisor.starting():
            try:
                super().startService()  # type: ignore[no-untyped-call]
            except SystemExit:
                self._give_back()
                raise
        self._reactor.callWhenRunning(self._begin)

    def _begin(self) -> None:
        self.crew.begin(self._template)
        self.machines.begin(self._state.machines).addErrback(
            lambda failure: self._log.failure("machines can't be kept", failure)
        )
        if self._restarted:
            self._go_on()
            return
        for slot in range(self.crew.slots.count):
            self.crew.start(slot)

    def when_listening(self) -> Deferred[Any]:
        """Fires when all serve; fails if they can't."""
        asked = [
            each.when_listening() for each in self._listeners() if isinstance(each, ListenerService)
        ]
        return gatherResults([self._up, *asked], consumeErrors=True).addErrback(
            lambda failure: getattr(failure.value, "subFailure", failure)
        )

    # CrewObserver.

    def began(self, worker: Worker) -> list[ChannelMessage]:
        """What C{worker} is."""
        self.guests.began(worker)
        found = self._sockets.of(worker.slot)
        hosts = [] if self.hosts is None else self.hosts.introduction(worker)
        more = [msg.TicketKeys(payload=self._tickets.keys), *hosts]
        descriptors: list[int] = []
        try:
            for _, each in found:
                descriptors.append(os.dup(each))
        except OSError:
            for each in descriptors:
                os.close(each)
            raise
        begin = msg.Begin(
            worker.slot,
            worker.serial,
            self.crew.slots.count,
            [where for where, _ in found],
            self.guests.table.routes(),
            self.guests.table.assigned.plain,
            # What is wrong with the files ends a start, and a hand-over, with its reason.
            self._up.called and not self._handing_over.under_way,
            len(more),
            descriptors=tuple(descriptors),
        )
        return [begin, *more]

    def ready(self, worker: Worker) -> None:
        """C{worker} serves."""
        self._introductions.ready(worker)
        self.machines.ready(worker)
        self._retry()
        if not self._up.called and len(self.crew.serving) == self.crew.slots.count:
            self._up.callback(None)
        self._handing_over.ready(worker)

    def came(self, worker: Worker, said: ChannelMessage) -> None:
        """C{worker} says something of its guests, or of machines."""
        if self.hosts is not None:
            self.hosts.came(worker, said)
        self.machines.came(worker, said)
        self._introductions.came(worker, said)

    def failed(self, worker: Worker, reason: str) -> None:
        """C{worker} cannot serve: at the start that ends the program."""
        self._failure = reason

    def ended(self, worker: Worker) -> None:
        """C{worker} is gone."""
        self.guests.ended(worker)
        self.machines.ended(worker)
        if self.hosts is not None:
            self.hosts.ended(worker)
        if not self._up.called and not self.crew.slots.stopping and not self._restarted:
            self.crew.slots.stopping = True
            self._up.errback(NotStarting(self._failure or f"worker {worker.slot} has died"))
        self._handing_over.ended(worker, self._failure or f"worker {worker.slot} has died")

    def _conduct(self, identity: str, what: str) -> None:
        if what == "offence":
            self.greetings.penalties.record_offence(identity, monotonic())
        else:
            self.greetings.penalties.refund_dial(identity)

    def _retry(self) -> None:
        self._introductions.retry()
        self.guests.retry()
        if self.hosts is not None:
            self.hosts.retry()

    def _housekeep(self) -> None:
        try:
            self._look()
        except Exception:
            self._log.failure("housekeeping failed")

    def _look(self) -> None:
        self._supervisor.alive(monotonic())
        self.crew.watch()
        self._retry()
        if self._tickets.rotate():
            self.crew.tell(self.crew.slots, msg.TicketKeys(payload=self._tickets.keys))
        self.greetings.expire()
        self.guests.expire()
        for pid in self._templates[:-1]:
            try:
                found, _ = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                found = pid
            if found:
                self._templates.remove(pid)

    # Signals.

    def reload(self) -> Deferred[Reply]:
        """Read the files again, here and in all workers."""
        from subproxy.app.merged_admin import merged_reloads

        serving = self.crew.serving

        def done(payloads: list[bytes]) -> Reply:
            data, status = merged_reloads(payloads)
            if status == 200:
                self._reloaded()
                # Who began meanwhile, or was about to, may have begun with what was before.
                for each in self.crew.slots:
                    if each not in serving and each.state is not WorkerState.RETIRING:
                        self.crew.ask(each, "reload")
            return data, status

        asked = [self.crew.ask(each, "reload") for each in serving]
        answer: Deferred[Reply] = gatherResults(asked).addCallback(done)
        return answer

    def _reloaded(self) -> None:
        """The workers have taken what is in the files; so is done here."""
        try:
            effective = self._options.sources.read()
            policy = effective.read_policy()
        except (ConfigurationError, PolicyError, OSError, ValueError) as error:
            self._log.error("the files have changed while they were read: {error}", error=error)
            return
        self._settings = in_force(self._settings, effective.settings)
        self._effective = effective
        self.guests.go_by(effective)
        self.greetings.policy = policy or Policy()
        self.machines.reload(effective)
        if self.hosts is not None:
            self.hosts.declare(effective.machines)
        self.crew.refresh()

    def hurry(self) -> None:
        """Cut a stop short."""
        self._hurried = True
        self.crew.stop(hurry=True)

    def stopService(self) -> Deferred[Any]:
        """Let all workers finish, then stop everything."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._log.info("stopping: {count} workers", count=len(self.crew.slots))
        self._supervisor.stopping()
        self._sockets.close()
        left = [] if self.hosts is None else [self.hosts.leave()]
        self.crew.stop(self._hurried)
        # Until they have finished, a body may need a data connection.
        empty = self.crew.when_empty()
        limit: Deferred[None] = deferLater(
            self._reactor, self._settings.shutdown_timeout + STOP_GRACE
        )
        limit.addErrback(lambda _: None)
        await DeferredList([empty, limit], fireOnOneCallback=True)
        limit.cancel()
        self.crew.kill()
        await self.machines.stop()
        await DeferredList(left)
        await DeferredList([maybeDeferred(each.stopService) for each in self._inward])
        await maybeDeferred(super().stopService)
        self.crew.close()

    # The next program.

    def hand_over(self) -> None:
        """Run the program anew in this process, if it would come up; then replace all workers."""
        if self.crew.slots.stopping:
            self._log.info("no hand-over: the proxy stops")
            return
        if self._handing_over.under_way or not self.running:
            self._log.info("a hand-over is under way already")
            return
        self._handing_over.begin()

    def places(self) -> list[str]:
        """See L{subproxy.app.parent_hand_over.HandedOver}."""
        return [*self._sockets.made, *other_places(self._settings)]

    async def let_go(self) -> None:
        """See L{subproxy.app.parent_hand_over.HandedOver}."""
        if self._admin is not None:
            await self._admin.stopListening()
        if self.hosts is not None:
            self.hosts.pause()
        await self.machines.pause()

    def describe(self) -> ParentState:
        """See L{subproxy.app.parent_hand_over.HandedOver}."""
        self._unread = self.greetings.detach_all()
        return self._describe(self._unread)

    def take_back(self) -> None:
        """See L{subproxy.app.parent_hand_over.HandedOver}."""
        unread, self._unread = self._unread, []
        for each in unread:
            self.greetings.resume(each.descriptor, each.identity, each.data)
        if self.crew.slots.stopping:
            return
        self.machines.go_on()
        if self.hosts is not None:
            self.hosts.go_on()
        if self._admin is not None:
            self._admin.listen_again()

    def _describe(self, unread: list[GreetedConnection]) -> ParentState:
        """What the next program has to know."""
        return ParentState(
            serial=self.crew.slots.serial,
            workers=self.crew.data(),
            guests=self.guests.table.data(),
            lapsed=self.guests.table.lapsed.data(),
            assigned=self.guests.table.assigned.plain,
            clients={
                where: [each.fileno() for each in made]
                for where, made in self._sockets.made.items()
            },
            names=self._sockets.names,
            listeners=SocketHandoff([*self._inward, *self.machines.listeners.values()]).described(),
            machines=self.machines.data(),
            tickets=self._tickets.data(),
            cluster=[] if self.hosts is None else self.hosts.data(),
            templates=self._templates,
            pidfile=self._supervisor.pidfile,
            greetings=[each.described() for each in (*unread, *self.guests.waiting())],
        )

    def _go_on(self) -> None:
        """This is the next program: take the workers, then replace them one by one."""
        state = self._state
        for slot, serial, pid, name, descriptor in state.workers:
            self.crew.adopt(slot, serial, pid, name, descriptor)
        self.guests.table.restore(state.guests, monotonic())
        self.guests.table.lapsed.restore(state.lapsed)
        self.guests.table.assigned.restore(state.assigned)
        if self.hosts is not None:
            self.hosts.restore(self.guests.table.served_routes())
        for descriptor, identity, data in state.greetings:
            self.greetings.resume(descriptor, identity, data.encode("latin-1"))
        self.crew.tell(self.crew.slots, msg.Away(0.0))
        self._up.callback(None)
        self._handing_over.arrived()
