"""
The records of all other hosts, as they were heard last, and what changes in them.

What is in the store is put in its place as a whole (a list), or record by record (a watch). Either
way what comes of it are values: a host or a route that came or left, or a record that is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from subproxy.cluster.records import (
    HOSTS,
    HostRecord,
    RecordRefused,
    RouteRecord,
    parse_record,
    split_key,
)
from subproxy.core.routing.route import Route


@dataclass(frozen=True, slots=True)
class HostCame:
    """A host takes part, or is to be found elsewhere from now on."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class HostLeft:
    """A host takes no part any more."""

    name: str


@dataclass(frozen=True, slots=True)
class RouteCame:
    """
    Guests of a host serve a route.

    @ivar wakes: none does now; a machine is started for who asks.
    """

    name: str
    route: Route
    wakes: bool = False


@dataclass(frozen=True, slots=True)
class RouteLeft:
    """They serve it no more."""

    name: str
    route: Route


@dataclass(frozen=True, slots=True)
class RecordSkipped:
    """What stands at C{key} is no record, for that reason."""

    key: bytes
    reason: str


Change = HostCame | HostLeft | RouteCame | RouteLeft | RecordSkipped


class ClusterTable:
    """
    See above. The records of the host C{own} are its own business, and skipped.

    @ivar hosts: the addresses of the others, by name.
    @ivar routes: how many routes they have.
    """

    def __init__(self, prefix: str, own: str) -> None:
        self.hosts: dict[str, str] = {}
        self._prefix = prefix
        self._own = own
        self._values: dict[bytes, bytes] = {}
        self._routes: dict[bytes, RouteRecord] = {}

    @property
    def routes(self) -> int:
        """See above."""
        return len(self._routes)

    def routes_of(self) -> dict[str, int]:
        """How many routes each host has, by name; a host may have some before it has an address."""
        found = dict.fromkeys(self.hosts, 0)
        for record in self._routes.values():
            found[record.name] = found.get(record.name, 0) + 1
        return found

    def changes(self) -> Iterator[Change]:
        """What makes all that is known of nothing."""
        for name, address in self.hosts.items():
            yield HostCame(name, address)
        for record in self._routes.values():
            yield RouteCame(record.name, record.route, record.wakes)

    def data(self) -> list[list[str]]:
        """All keys and values, as text of one character a byte."""
        return [
            [key.decode("latin-1"), value.decode("latin-1")] for key, value in self._values.items()
        ]

    def restore(self, data: Iterable[Iterable[str]]) -> None:
        """Know what L{data} has told, and say nothing of it."""
        for key, value in data:
            for _ in self.put(key.encode("latin-1"), value.encode("latin-1")):
                pass

    def replace(self, items: Iterable[tuple[bytes, bytes]]) -> Iterator[Change]:
        """
        All that is in the store: go by it and by nothing else.

        The changes come as they are made, what left last: a route that has moved from one host to
        another is never without a host. Who stops in between has half of it.
        """
        found = set()
        for key, value in items:
            found.add(key)
            yield from self.put(key, value)
        for key in self._values.keys() - found:
            yield from self.delete(key)

    def put(self, key: bytes, value: bytes) -> Iterator[Change]:
        """A record was written."""
        if self._values.get(key) == value:
            return
        try:
            name = split_key(self._prefix, key)[1]
            if name == self._own:
                return
            record = parse_record(self._prefix, key, value)
        except RecordRefused as refusal:
            # What stood there before stands there no more.
            yield from self.delete(key)
            self._values[key] = value
            yield RecordSkipped(key, str(refusal))
            return
        self._values[key] = value
        if isinstance(record, HostRecord):
            self.hosts[name] = record.address
            yield HostCame(name, record.address)
        elif self._routes.get(key) != record:
            self._routes[key] = record
            yield RouteCame(name, record.route, record.wakes)

    def delete(self, key: bytes) -> Iterator[Change]:
        """A record was deleted, or its lease has expired."""
        if self._values.pop(key, None) is None:
            return
        record = self._routes.pop(key, None)
        if record is not None:
            yield RouteLeft(record.name, record.route)
            return
        try:
            kind, name, _ = split_key(self._prefix, key)
        except RecordRefused:
            return
        if kind == HOSTS and self.hosts.pop(name, None) is not None:
            yield HostLeft(name)
