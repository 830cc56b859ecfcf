"""
Which worker a guest's connection is for. Decides by what guests said and workers told; no I/O.

The parent sees each C{hello}, so that it is the one that knows all instances: a newer one replaces
the older in every worker. A subscription without a wish goes where its instance is already, since
it may be that one's return; else to the worker with the fewest. A data connection goes to the
worker whose serial its token begins with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from subproxy.core.access.epochs import Epochs, RefuseHello
from subproxy.core.balancing.assigned import Assigned
from subproxy.core.balancing.member import Member
from subproxy.wire import info as wire_info
from subproxy.wire import messages as m
from subproxy.wire.errors import MessageError
from subproxy.wire.fields import Info, integer, name
from subproxy.wire.limits import MAX_NUMBER
from subproxy.workers.lapsed_routes import LapsedRoutes

SERIAL_SIZE = 2
"""Bytes of a token that say which worker has made it."""

_count = integer(0, MAX_NUMBER)


def token_prefix(serial: int) -> bytes:
    """What the tokens of a worker begin with."""
    return serial.to_bytes(SERIAL_SIZE, "big")


@dataclass(frozen=True, slots=True)
class InstanceKey:
    """One instance of an application, as C{hello} names it."""

    identity: str
    application: bytes
    worker: int
    instance: bytes

    @property
    def line(self) -> tuple[str, bytes, int]:
        """What newer instances of it have, too."""
        return self.identity, self.application, self.worker


def instance_of(identity: str, info: Info) -> InstanceKey | None:
    """Who says C{hello}; None if it does not say so properly: a worker will tell it."""
    try:
        return InstanceKey(
            identity,
            name(info.get(b"application")),
            m.lookup(info, b"worker", _count, 0),
            name(info.get(b"instance")),
        )
    except MessageError:
        return None


@dataclass(frozen=True, slots=True)
class Placement:
    """
    Where a subscription goes.

    @ivar slot: of which worker.
    @ivar supersede: whether others of its line have to leave the other workers.
    @ivar newer: whether these are an older instance, and not what it has left behind itself.
    @ivar refusal: code and reason, if it may not subscribe.
    """

    slot: int
    supersede: bool = False
    newer: bool = False
    refusal: tuple[str, str] | None = None


@dataclass(slots=True)
class _Subscription:
    key: InstanceKey
    routes: set[tuple[str, ...]] = field(default_factory=set)


@dataclass(slots=True)
class _WorkerGuests:
    """
    What one worker has.

    @ivar subscriptions: by the numbers that it has given them.
    @ivar connections: by identity.
    """

    slot: int
    subscriptions: dict[int, _Subscription] = field(default_factory=dict)
    connections: Counter[str] = field(default_factory=Counter)

    def has(self, identity: str) -> bool:
        """Whether there is a subscription of C{identity}."""
        return any(each.key.identity == identity for each in self.subscriptions.values())


class GuestTable:
    """
    All guests of all workers, by the workers' serials.

    @ivar epochs: which instance of an application counts.
    @ivar assigned: what an operator has said of subscribers.
    @ivar lapsed: the routes of guests that have left, or whose worker has.
    """

    def __init__(self) -> None:
        self.epochs = Epochs()
        self.assigned = Assigned()
        self.lapsed = LapsedRoutes()
        self._held: dict[int, _WorkerGuests] = {}
        self._members: dict[InstanceKey, Member] = {}

    # Workers.

    def began(self, serial: int, slot: int) -> None:
        """A worker may get guests."""
        self._held[serial] = _WorkerGuests(slot)

    def ended(self, serial: int, now: float) -> list[str]:
        """A worker is gone, with all that it had: identities whose shares are others now."""
        held = self._held.pop(serial, None)
        if held is None:
            return []
        for each in held.subscriptions.values():
            self.lapsed.add(each.key.identity, each.routes, now)
        gone = [each.key for each in held.subscriptions.values()]
        for key in gone:
            self._forget(key, now)
        return sorted({key.identity for key in gone})

    # Connections.

    def connections(self, identity: str) -> int:
        """How many connections C{identity} has with all workers."""
        return sum(held.connections[identity] for held in self._held.values())

    def passed(self, serial: int, identity: str) -> None:
        """A worker was given a connection."""
        self._held[serial].connections[identity] += 1

    def closed(self, serial: int, identity: str) -> None:
        """That connection is closed."""
        held = self._held.get(serial)
        if held is not None:
            held.connections[identity] -= 1
            if held.connections[identity] <= 0:
                del held.connections[identity]

    # Subscriptions.

    def place(self, key: InstanceKey, info: Info, slots: Iterable[int], now: float) -> Placement:
        """
        Where the subscription goes that C{info} of a C{hello} asks for.

        @param slots: those that serve, or soon will.
        """
        member = Member(key.identity, key.application, key.instance, now=now, worker=key.worker)
        there = sorted(slots)
        wanted = _process(info)
        slot = wanted if wanted in there else self._best(key, there)
        assert slot is not None
        decision = self.epochs.hello(member)
        if isinstance(decision, RefuseHello):
            return Placement(slot, refusal=(decision.code, decision.reason))
        before = decision.replaced
        if before is not None:
            self._members.pop(_key_of(before), None)
        self._members[key] = member
        newer = before is not None and before.instance != key.instance
        # Who names no process has one subscription: another one is what it has left behind.
        return Placement(slot, newer or wanted is None, newer)

    def _best(self, key: InstanceKey, slots: list[int]) -> int:
        load = dict.fromkeys(slots, 0)
        own = dict.fromkeys(slots, 0)
        for held in self._held.values():
            if held.slot not in load:
                continue
            for each in held.subscriptions.values():
                if each.key == key:
                    return held.slot
                load[held.slot] += 1
                own[held.slot] += each.key.identity == key.identity
        return min(slots, key=lambda slot: (own[slot], load[slot], slot))

    def worker_of(self, token: bytes) -> int | None:
        """The serial of the worker that has made a token, if it is there."""
        serial = int.from_bytes(token[:SERIAL_SIZE], "big")
        return serial if serial in self._held else None

    def subscribed(self, serial: int, number: int, key: InstanceKey) -> bool:
        """A worker has taken a subscription: whether it is the first of that identity there."""
        held = self._held.get(serial)
        if held is None:
            return False
        first = not held.has(key.identity)
        held.subscriptions[number] = _Subscription(key)
        return first

    def left(self, serial: int, number: int, now: float) -> str | None:
        """A subscription is over: its identity, if it was the last of that there."""
        held = self._held.get(serial)
        over = None if held is None else held.subscriptions.pop(number, None)
        if held is None or over is None:
            return None
        self.lapsed.add(over.key.identity, over.routes, now)
        self._forget(over.key, now)
        return None if held.has(over.key.identity) else over.key.identity

    def _forget(self, key: InstanceKey, now: float) -> None:
        for held in self._held.values():
            if any(each.key == key for each in held.subscriptions.values()):
                return
        member = self._members.pop(key, None)
        if member is not None:
            self.epochs.gone(member, now)

    def served(self, serial: int, number: int, route: Sequence[str], served: bool) -> None:
        """A subscription has registered a route, as C{Route.words} has it, or given it back."""
        held = self._held.get(serial)
        of = None if held is None else held.subscriptions.get(number)
        if of is not None:
            (of.routes.add if served else of.routes.discard)(tuple(route))

    def identity_of(self, serial: int, number: int) -> str | None:
        """Of which identity a subscription is; None if there is none of that number."""
        held = self._held.get(serial)
        of = None if held is None else held.subscriptions.get(number)
        return None if of is None else of.key.identity

    def route_count(self, identity: str) -> int:
        """How many routes the subscriptions of C{identity} have."""
        return len(
            {
                route
                for held in self._held.values()
                for each in held.subscriptions.values()
                if each.key.identity == identity
                for route in each.routes
            }
        )

    def holders(self, identity: str) -> list[int]:
        """The serials of the workers that have subscriptions of C{identity}."""
        return [serial for serial, held in self._held.items() if held.has(identity)]

    def served_routes(self) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """Which subscription has which route: the worker's serial, its number, and the words."""
        for serial, held in self._held.items():
            for number, each in held.subscriptions.items():
                for route in each.routes:
                    yield serial, number, route

    def routes(self) -> list[list[str]]:
        """
        Identity, and words, of all routes that are served, or were just now: what a new worker has
        to expect.
        """
        found = set(self.lapsed)
        found |= {
            (each.key.identity, *route)
            for held in self._held.values()
            for each in held.subscriptions.values()
            for route in each.routes
        }
        return [list(each) for each in sorted(found)]

    def expire(self, now: float, linger: float) -> None:
        """
        Forget what is old.

        @param linger: seconds for which a route without guests is remembered.
        """
        self.epochs.expire(now)
        self.lapsed.expire(now, linger)

    # What the parent's next program has to know.

    def data(self) -> dict[str, Any]:
        """All of it but the memory of replaced instances, to be written as JSON."""
        return {
            str(serial): {
                "slot": held.slot,
                "connections": dict(held.connections),
                "subscriptions": [
                    [
                        number,
                        each.key.identity,
                        each.key.application.decode("latin-1"),
                        each.key.worker,
                        each.key.instance.decode("latin-1"),
                        [list(route) for route in sorted(each.routes)],
                    ]
                    for number, each in held.subscriptions.items()
                ],
            }
            for serial, held in self._held.items()
        }

    def restore(self, data: dict[str, Any], now: float) -> None:
        """Take what L{data} has written."""
        for serial, each in data.items():
            held = self._held[int(serial)] = _WorkerGuests(each["slot"])
            held.connections.update(each["connections"])
            for number, identity, application, worker, instance, routes in each["subscriptions"]:
                key = InstanceKey(
                    identity, application.encode("latin-1"), worker, instance.encode("latin-1")
                )
                held.subscriptions[number] = _Subscription(key, set(map(tuple, routes)))
                if key not in self._members:
                    member = Member(identity, key.application, key.instance, now=now, worker=worker)
                    self.epochs.hello(member)
                    self._members[key] = member


def _key_of(member: Member) -> InstanceKey:
    return InstanceKey(member.identity, member.application, member.worker, member.instance)


def _process(info: Info) -> int | None:
    try:
        return wire_info.process_wanted(info)
    except MessageError:
        return None
