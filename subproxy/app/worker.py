"""
One of several workers: today's proxy, with listeners and guests that its parent gives it.

It is a fork of the template. What it is, the first message on its channel says; the end of the
channel is the end of the parent, and then it stops as on SIGTERM.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import ILogObserver, LogEvent, Logger, eventAsText, globalLogBeginner
from twisted.python.failure import Failure

from subproxy.app.build import Proxy, build_proxy
from subproxy.app.machine_routes import MachineRoutes
from subproxy.app.peer_connections import HostsAndWorkers
from subproxy.app.peer_links import PeerLinks
from subproxy.app.worker_process import fresh_reactor, set_up_process, shed_privileges
from subproxy.app.worker_reports import ReportedPenalties, WorkerReports
from subproxy.config.options import Options
from subproxy.core.balancing.member import Member, MemberEvent
from subproxy.fastpath.install import worker_protocol
from subproxy.frontend.peer.process_place import ProcessPlace
from subproxy.process.gc_tuning import tune
from subproxy.process.inherited_sockets import InheritedSockets, keep_name
from subproxy.process.reactor_choice import set_spin
from subproxy.process.signals import stop_on_signals
from subproxy.process.startup import foreground
from subproxy.subscription.factory import SubscriptionFactory
from subproxy.subscription.peer_registrar import PeerRegistrar
from subproxy.subscription.registrar import HelloRefused
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.workers import messages as msg
from subproxy.workers.channel import MessageChannel, receive_now, send_now
from subproxy.workers.guest_connection import begin_connection
from subproxy.workers.guest_table import token_prefix
from subproxy.workers.messages import ChannelMessage
from subproxy.workers.peer_messages import PeerData

if TYPE_CHECKING:
    from subproxy.app.host_door import HostDoor
    from subproxy.frontend.peer.host_certificates import HostCertificates
    from subproxy.frontend.tls.certificate_reader import CertificateReader

MAX_LOG_WAITING = 2000
"""Packets that wait for the parent, beyond which lines of the log are lost."""

PEER_SHARE = 1.0
"""Of a turn of the reactor, that of another worker: it speaks for many guests."""

LAST_WORDS_TIMEOUT = 2.0
"""Seconds that the last messages may take."""


def run_worker(
    options: Options,
    end: socket.socket,
    certificates: CertificateReader | None,
    host: HostCertificates | None = None,
) -> NoReturn:
    """
    Be a worker; the process ends with it.

    @param certificates: those that were read in the template; None: none are shown.
    @param host: those of this host among others, likewise.
    """
    status = 1
    try:
        begin = receive_now(end)
        if isinstance(begin, msg.Begin):
            more = [said for _ in range(begin.more) if (said := receive_now(end)) is not None]
            status = _Worker(options, end, begin, certificates, host, more).run()
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else 1
    except BaseException:
        _last_words(end, msg.Failed(traceback.format_exc()))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _last_words(end: socket.socket, said: ChannelMessage) -> None:
    try:
        end.settimeout(LAST_WORDS_TIMEOUT)
        send_now(end, said)
    except OSError:
        pass


class _Worker:
    """A worker, from its first message to its end."""

    _log = Logger()
    _channel: MessageChannel | None = None
    _reactor: Any
    _proxy: Proxy
    _peer_links: PeerLinks

    def __init__(
        self,
        options: Options,
        end: socket.socket,
        begin: msg.Begin,
        certificates: CertificateReader | None,
        host: HostCertificates | None,
        more: Sequence[ChannelMessage],
    ) -> None:
        self._options = options
        self._certificates = certificates
        self._host = host
        self._hosts: HostDoor | None = None
        self._more = more
        self._end = end
        self._begin = begin
        self._told_to_stop = False
        self._failed = False
        self._operations: Any = None

    def run(self) -> int:
        """Serve until it is over; the exit status."""
        foreground.reporter = lambda reason: self._send(msg.Failed(reason))
        globalLogBeginner.beginLoggingTo([cast("ILogObserver", self._observe)], discardBuffer=True)
        reactor = self._reactor = fresh_reactor()
        settings, begin = self._options.settings, self._begin
        set_spin(reactor, settings.spin)
        left = {"ports": dict(zip(begin.listeners, begin.descriptors, strict=True))}
        inheritance = InheritedSockets({**left, "routes": begin.routes, **begin.assigned})
        proxy = self._proxy = build_proxy(
            settings,
            reactor,
            inheritance,
            None,
            self._options.sources,
            self._options.effective,
            SubscriptionSettings(
                process=begin.slot,
                processes=begin.processes,
                token_prefix=token_prefix(begin.serial),
            ),
            uid=(getattr(self._options, "parent", None) or {}).get("uid"),
            certificates=self._certificates,
            replaces=begin.replaces,
        )
        service = proxy.service
        if service.certificates is not None:
            service.certificates.renewed = lambda: self._send(msg.ReadAgain())
        service.site_files.changed = lambda: self._send(msg.ReadAgain())
        for listener in service.http_listeners:
            listener.prepared(keep_name)
        registrar = service.registrar
        links = self._peer_links = self._links()
        service.peers = links
        if self._host is not None:
            self._hosts = self._host_door(self._host)
            service.peers = HostsAndWorkers(self._hosts.links, links)
        machines = service.machines = self._machine_routes()
        registrar.observer = WorkerReports(self._send, links, machines)
        registrar.penalties = ReportedPenalties(self._send)
        config = getattr(self._options, "parent", None) or {}
        set_up_process(config)
        for said in self._more:
            self._came(said)
        service.privilegedStartService()
        inheritance.done()
        shed_privileges(config)
        service.startService()
        reactor.addSystemEventTrigger("before", "shutdown", self._shut_down)
        stop_on_signals(reactor, service.hurry)
        reactor.callWhenRunning(self._running)
        tune()
        reactor.run()
        return int(self._failed)

    def _links(self) -> PeerLinks:
        service = self._proxy.service
        dispatcher = service.dispatcher
        registrar = PeerRegistrar(service.registrar.registry, monotonic, dispatcher.capacity)
        settings = replace(service.subscriptions.context.settings, processes=1, share=PEER_SHARE)
        factory = SubscriptionFactory(
            self._reactor,
            dispatcher,
            registrar,
            lambda transport: "",
            settings,
            pipes=service.subscriptions.context.pipes,
        )
        factory.protocol = service.subscriptions.protocol
        links = PeerLinks(
            self._reactor, dispatcher, registrar, factory, self._begin.slot, self._send
        )
        links.protocol = worker_protocol(service.http)
        return links

    def _host_door(self, certificates: HostCertificates) -> HostDoor:
        from subproxy.app.host_door import HostDoor
        from subproxy.app.hosts import build_links

        place = ProcessPlace(self._begin.slot, self._begin.processes)
        service, settings = self._proxy.service, self._options.settings
        links = build_links(self._reactor, settings, service, certificates, place)
        return HostDoor(self._reactor, links)

    def _machine_routes(self) -> MachineRoutes:
        service, effective = self._proxy.service, self._options.effective
        routes = MachineRoutes(
            service.dispatcher,
            effective.machines_folder,
            service.subscriptions.context.tunnels.count,
            self._send,
            self._options.settings.vsock_port,
        )
        routes.declare(effective.machines)
        return routes

    # What the parent hears.

    def _send(self, said: ChannelMessage) -> None:
        if self._channel is not None:
            self._channel.send(said)
        else:
            # It waits in the socket: few are said before the reactor runs.
            try:
                send_now(self._end, said)
            except OSError:
                pass

    def _observe(self, event: LogEvent) -> None:
        channel = self._channel
        if channel is not None and channel.waiting > MAX_LOG_WAITING:
            return
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        level = event.get("log_level")
        name = "info" if level is None else level.name
        said = msg.Logged(name, str(event.get("log_namespace") or "-"), text[:50_000])
        if channel is not None and not channel.is_open:
            print(text, file=sys.__stderr__)
        else:
            self._send(said)

    def _running(self) -> None:
        service = self._proxy.service
        self._channel = MessageChannel(self._reactor, self._end, self._came, self._parent_gone)
        service.when_listening().addCallback(lambda _: self._send(msg.Ready())).addErrback(
            self._not_listening
        )

    def _not_listening(self, failure: Failure) -> None:
        self._failed = True
        self._send(msg.Failed(failure.getErrorMessage()))
        self._stop()

    def _parent_gone(self) -> None:
        if self._told_to_stop:
            return
        self._log.warn("the parent is gone: stopping")
        self._told_to_stop = True
        self._stop()

    def _stop(self) -> None:
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            pass

    def _shut_down(self) -> Deferred[Any]:
        if not self._told_to_stop:
            self._told_to_stop = True
            if self._proxy.service.peers is not None:
                self._proxy.service.peers.alone = True
            self._send(msg.Leaving())
        return self._proxy.service.stopService()

    # What the parent says.

    def _came(self, said: ChannelMessage) -> None:
        service = self._proxy.service
        match said:
            case msg.PassedGuest():
                self._guest(said)
            case msg.Supersede():
                service.subscriptions.supersede(
                    Member(
                        said.identity,
                        said.application.encode("latin-1"),
                        said.instance.encode("latin-1"),
                        now=monotonic(),
                        worker=said.worker,
                    )
                )
            case msg.PeerLink():
                (descriptor,) = said.descriptors
                self._peer_links.connect(descriptor, said.serial, said.asks)
            case PeerData():
                self._peer_links.data_came(said.serial, said.descriptors)
            case msg.MachineStarts():
                service.registrar.epochs.begin(said.identity, said.run.encode())
                if service.machines is not None:
                    service.machines.begins(said.identity)
            case msg.MachineStatus():
                assert service.machines is not None
                service.machines.status(said)
            case msg.Share():
                service.registrar.divide(said.identity, said.workers)
            case msg.Ask():
                self._answer(said)
            case msg.TicketKeys():
                if self._proxy.tls is not None:
                    self._proxy.tls.share_tickets(said.payload)
            case msg.Reopen():
                if service.log is not None:
                    service.log.reopen()
            case msg.Away():
                self._parent_away(said.seconds)
                if not said.seconds and service.machines is not None:
                    service.machines.tell_again()
            case msg.Retire():
                self._told_to_stop = True
                service.retire().addErrback(
                    lambda failure: self._log.failure("it could not retire", failure)
                ).addBoth(lambda _: self._stop())
            case msg.Stop():
                self._told_to_stop = True
                if said.hurry:
                    service.hurry()
                self._stop()
            case _:
                if self._hosts is not None:
                    self._hosts.came(said)

    def _guest(self, said: msg.PassedGuest) -> None:
        (descriptor,) = said.descriptors
        protocol = self._proxy.service.subscriptions.passed(said.identity)
        if said.refusal:
            code, reason = said.refusal
            protocol.refuse(HelloRefused(code.encode(), reason))
        begin_connection(self._reactor, descriptor, said.identity, protocol, said.payload)
        if said.late:
            protocol.greeting_late()

    def _parent_away(self, seconds: float) -> None:
        tokens = self._proxy.service.subscriptions.context.tokens
        usual = self._proxy.service.subscriptions.context.settings.claim_timeout
        tokens.timeout = usual + seconds
        self._reactor.callLater(seconds, setattr, tokens, "timeout", usual)

    def _answer(self, asked: msg.Ask) -> None:
        try:
            answer = self._do(asked.what, *asked.about)
        except Exception:
            self._log.failure("{what} failed", what=asked.what)
            answer = json.dumps([{"error": f"{asked.what} failed; the log says why"}, 500]).encode()
        self._send(msg.Answer(asked.number, payload=answer))

    def _do(self, what: str, about: str = "") -> bytes:
        """Metrics, or one of the replies of L{subproxy.admin.site.Operations}."""
        if what == msg.ALIVE:
            return b"{}"
        if self._operations is None:
            from subproxy.app.admin import operations
            from subproxy.app.hosts import Hosts

            proxy = self._proxy
            self._operations = operations(
                proxy.service,
                proxy.router,
                proxy.counters,
                proxy.reload,
                proxy.tls,
                None if self._hosts is None else Hosts(self._hosts.links, None),
            )
        if what == "metrics":
            return cast("bytes", self._operations.metrics())
        if what in ("machine-drain", "machine-undrain"):
            machines = self._proxy.service.machines
            assert machines is not None
            drains = what == "machine-drain"
            machines.drain(about, MemberEvent.DRAIN if drains else MemberEvent.UNDRAIN)
            return b"{}"
        return json.dumps(self._operations.reply(what, about)).encode()
