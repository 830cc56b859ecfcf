"""Passes each connection of a guest to the worker that it is for, as L{GuestTable} decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from subproxy.app.effects import route_linger
from subproxy.config.sources import Effective
from subproxy.core.routing.route import PASSTHROUGH
from subproxy.core.sites.site_table import SiteTable
from subproxy.wire import messages as m
from subproxy.workers import messages as msg
from subproxy.workers.crew import Crew
from subproxy.workers.greeting import GreetedConnection
from subproxy.workers.guest_table import GuestTable, InstanceKey, Placement, instance_of
from subproxy.workers.messages import ChannelMessage
from subproxy.workers.slots import Worker
from subproxy.workers.states import WorkerState

PATIENCE = 5.0
"""Seconds that a connection waits for the worker that it is for, if that is just being made."""


class GuestPlacing:
    """
    What stands between guests and workers.

    @ivar table: who has which guests.
    @ivar conduct: is told of a guest's conduct: the identity, and C{offence} or C{refund}.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        now: Callable[[], float],
        conduct: Callable[[str, str], None],
    ) -> None:
        self.table = GuestTable()
        self.conduct = conduct
        self.crew: Crew | None = None
        self._clock = clock
        self._now = now
        self._linger = 0.0
        self._waiting: list[tuple[float, Callable[[], bool], GreetedConnection]] = []

    def go_by(self, effective: Effective) -> None:
        """These settings are in force."""
        self._linger = route_linger(effective.settings, SiteTable(effective.sites))

    def expire(self) -> None:
        """Forget what is old."""
        self.table.expire(self._now(), self._linger)

    # GuestPlacer.

    def count(self, identity: str) -> int:
        """How many connections C{identity} has, with workers or on the way to one."""
        waiting = sum(each.identity == identity for _, _, each in self._waiting)
        return self.table.connections(identity) + waiting

    def place(self, greeted: GreetedConnection) -> None:
        """Pass C{greeted} on, now or as soon as its worker is there."""
        attempt = self._attempt(greeted)
        if not attempt():
            self._waiting.append((self._now() + PATIENCE, attempt, greeted))

    def _attempt(self, greeted: GreetedConnection) -> Callable[[], bool]:
        """What passes it on, once decided where; whether it could."""
        first = greeted.first
        assert self.crew is not None
        if isinstance(first, m.Hello):
            key = instance_of(greeted.identity, first.info)
            if key is not None:
                slots = range(self.crew.slots.count)
                placement = self.table.place(key, first.info, slots, self._now())
                return lambda: self._subscribe(greeted, key, placement)
        if isinstance(first, m.Connect):
            serial = self.table.worker_of(first.token)
            worker = None if serial is None else self.crew.slots.get(serial)
            if worker is not None:
                return lambda: self._pass(worker, greeted)
        return lambda: self._pass(self._any(), greeted)

    def _any(self) -> Worker | None:
        assert self.crew is not None
        serving = self.crew.serving
        return serving[0] if serving else None

    def _subscribe(
        self, greeted: GreetedConnection, key: InstanceKey, placement: Placement
    ) -> bool:
        assert self.crew is not None
        worker = self.crew.slots.serving(placement.slot)
        if worker is None:
            return False
        if placement.supersede:
            self._supersede(key, worker, placement.newer)
        return self._pass(worker, greeted, placement.refusal)

    def _supersede(self, key: InstanceKey, than: Worker, newer: bool) -> None:
        """
        Let C{key} have the place of all others of its line, at whichever worker.

        At one that retires it finishes itself what it has there, unless C{newer} has come.
        """
        assert self.crew is not None
        said = msg.Supersede(
            key.identity,
            key.application.decode("latin-1"),
            key.worker,
            key.instance.decode("latin-1"),
        )
        others = [
            each
            for each in self.crew.slots
            if each is not than and (newer or each.state is not WorkerState.RETIRING)
        ]
        self.crew.tell(others, said)

    def _pass(
        self,
        worker: Worker | None,
        greeted: GreetedConnection,
        refusal: tuple[str, str] | None = None,
    ) -> bool:
        assert self.crew is not None
        if worker is None:
            return False
        self.table.passed(worker.serial, greeted.identity)
        self.crew.send(
            worker,
            msg.PassedGuest(
                greeted.identity,
                list(refusal or ()),
                greeted.late,
                payload=greeted.data,
                descriptors=(greeted.descriptor,),
            ),
        )
        return True

    def retry(self) -> None:
        """A worker is there that was not, or time has passed."""
        waiting, self._waiting = self._waiting, []
        now = self._now()
        for due, attempt, greeted in waiting:
            if attempt():
                continue
            if now < due:
                self._waiting.append((due, attempt, greeted))
            else:
                self._log.warn(
                    "no worker for a connection of {identity}: closed", identity=greeted.identity
                )
                greeted.close()

    def waiting(self) -> list[GreetedConnection]:
        """Those that are on the way."""
        return [greeted for _, _, greeted in self._waiting]

    # Workers.

    def began(self, worker: Worker) -> None:
        """C{worker} may be given guests."""
        self.table.began(worker.serial, worker.slot)

    def ended(self, worker: Worker) -> None:
        """C{worker} is gone, with its guests."""
        for identity in self.table.ended(worker.serial, self._now()):
            self._divide(identity)

    def came(self, worker: Worker, said: ChannelMessage) -> None:
        """C{worker} says something of its guests."""
        serial = worker.serial
        match said:
            case msg.Subscribed():
                key = InstanceKey(
                    said.identity,
                    said.application.encode("latin-1"),
                    said.worker,
                    said.instance.encode("latin-1"),
                )
                if self.table.subscribed(serial, said.number, key):
                    self._divide(said.identity)
            case msg.Left():
                identity = self.table.left(serial, said.number, self._now())
                if identity is not None:
                    self._divide(identity)
            case msg.RouteServed():
                route = [said.host, said.path]
                if said.passthrough:
                    route.append(PASSTHROUGH)
                self.table.served(serial, said.number, route, said.served)
            case msg.Closed():
                self.table.closed(serial, said.identity)
            case msg.Conduct():
                self.conduct(said.identity, said.what)

    def _divide(self, identity: str) -> None:
        """Tell who has subscriptions of C{identity} among how many its quotas are divided."""
        assert self.crew is not None
        holders = [self.crew.slots.get(serial) for serial in self.table.holders(identity)]
        there = [
            each for each in holders if each is not None and each.state is not WorkerState.RETIRING
        ]
        self.crew.tell(there, msg.Share(identity, max(1, len(there))))
