"""
What hosts say of themselves in the store: a record a host, and one for each of its routes.

The keys are C{PREFIX hosts/NAME} and C{PREFIX routes/NAME/DIGEST}, the values JSON. Whoever may
write to the store can write anything, so a record is looked at before it is believed: what does not
have exactly this form is none.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from subproxy.core.host_address import check_name, split_address
from subproxy.core.routing.route import PASSTHROUGH, Route, RouteRefused

MAX_VALUE: Final = 16_384
"""Bytes of a value at most: two patterns of 1,024 bytes as JSON take fewer."""

DIGEST: Final = 32
"""Characters of the name of a route's record: enough of SHA-256 that no two routes share one."""

HOSTS, ROUTES = "hosts", "routes"

WAKES: Final = "wakes"
"""What tells a route that only a machine would serve, which is started for who asks."""


class RecordRefused(ValueError):
    """What stands in the store is no record; the text says why, for a person."""


@dataclass(frozen=True, slots=True)
class HostRecord:
    """
    A host that takes part.

    @ivar name: what its certificate calls it.
    @ivar address: where its peers dial it, C{HOST:PORT}.
    """

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class RouteRecord:
    """
    A route that guests of a host serve.

    @ivar name: the host.
    @ivar wakes: none does now; a machine is started for who asks.
    """

    name: str
    route: Route
    wakes: bool = False


def host_key(prefix: str, name: str) -> bytes:
    """Where the record of a host stands."""
    return f"{prefix}{HOSTS}/{name}".encode()


def route_key(prefix: str, name: str, route: Route) -> bytes:
    """Where the record of a route stands."""
    return f"{prefix}{ROUTES}/{name}/{_digest(route)}".encode()


def host_value(address: str) -> bytes:
    """What stands in the record of a host."""
    return json.dumps({"address": address}).encode()


def route_value(route: Route, *, wakes: bool = False) -> bytes:
    """What stands in the record of a route."""
    host, path, *more = route.words()
    said: dict[str, Any] = {"host": host, "path": path}
    if wakes:
        more.append(WAKES)
    return json.dumps(said | dict.fromkeys(more, True)).encode()


def parse_record(prefix: str, key: bytes, value: bytes) -> HostRecord | RouteRecord:
    """
    The record of C{key}.

    @raise RecordRefused: there is none.
    """
    try:
        kind, name, rest = split_key(prefix, key)
        said = _said(value)
        if kind == HOSTS:
            address = _text(said, "address")
            split_address(address)
            return HostRecord(name, address)
        host, path = _text(said, "host").encode("latin-1"), _text(said, "path").encode("latin-1")
        route = Route(host, path, lazy=True, passthrough=said.get(PASSTHROUGH) is True)
        if rest != _digest(route):
            raise RecordRefused("it stands under the key of another route")
        return RouteRecord(name, route, said.get(WAKES) is True)
    except RouteRefused as refusal:
        raise RecordRefused(refusal.reason) from None
    except UnicodeEncodeError:
        raise RecordRefused("a pattern has characters that are no bytes") from None
    except RecordRefused:
        raise
    except ValueError as error:
        raise RecordRefused(str(error)) from None


def split_key(prefix: str, key: bytes) -> tuple[str, str, str]:
    """
    What a key says: C{hosts} or C{routes}, the name of the host, and the rest.

    @raise RecordRefused: it is none of ours.
    """
    text = key.decode("utf-8", "replace")
    kind, _, rest = text.removeprefix(prefix).partition("/")
    name, slash, digest = rest.partition("/")
    if not text.startswith(prefix) or kind not in (HOSTS, ROUTES):
        raise RecordRefused("its key is none of ours")
    if (kind == ROUTES) != bool(slash):
        raise RecordRefused("its key is none of ours")
    try:
        return kind, check_name(name), digest
    except ValueError as error:
        raise RecordRefused(str(error)) from None


def _said(value: bytes) -> dict[str, Any]:
    if len(value) > MAX_VALUE:
        raise RecordRefused(f"it has {len(value)} bytes, and {MAX_VALUE} are the most")
    try:
        said = json.loads(value)
    except (ValueError, RecursionError):
        raise RecordRefused("it is no JSON") from None
    if not isinstance(said, dict):
        raise RecordRefused("it is no object of JSON")
    return said


def _text(said: dict[str, Any], key: str) -> str:
    found = said.get(key)
    if not isinstance(found, str):
        raise RecordRefused(f"it has no text '{key}'")
    return found


def _digest(route: Route) -> str:
    text = "\0".join(route.words()).encode("latin-1")
    return hashlib.sha256(text).hexdigest()[:DIGEST]
