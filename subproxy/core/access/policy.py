"""The policy file: which virtual machine may claim what, and how much of everything it may use.

::

    [default]                    # for every guest that has no number of its own
    connections = 16
    buffer = "16 MiB"

    [[guest]]
    identity = "cid:10"          # or a list; '*' stands for any text
    hosts = ["blog.example", "*.blog.example"]
    paths = ["/"]                # the default
    routes = 20

Every host of an entry is claimed with every path. A virtual machine belongs to the entry that
names it exactly, else to the first one of which a C{*} covers it; one that belongs to none may
claim nothing. All virtual machines of one entry share its claims and trust each other; the
quotas are for each of them. What a claim covers is told in L{subproxy.core.access.claims}.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from functools import cached_property
from typing import Any, Final

from subproxy.core.access.claims import Claim, ClaimError, conflict, wildcard
from subproxy.core.access.toml_lines import TomlLines, error_line, load_toml
from subproxy.core.routing.pattern import Kind, escape
from subproxy.core.routing.route import Route
from subproxy.wire.values import value_class

UPGRADE_PATTERN: Final = "^[!#$%&'*+.^_`|~0-9A-Za-z/-]{1,32}$"
"""A protocol as C{Upgrade} names it (RFC 9110 section 7.8)."""

_PROTOCOL: Final = re.compile(UPGRADE_PATTERN)
_UNITS: Final = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@value_class
class Quotas:
    """Quotas of one virtual machine.

    routes: registered at a time. connections: open at a time, of every kind. exchanges: in
    flight at a time. buffer: bytes that the proxy holds for it. registrations: a second. tunnels:
    open at a time; they count as no exchanges.
    """

    routes: int = 1024
    connections: int = 256
    exchanges: int = 1024
    buffer: int = 16 << 20
    registrations: int = 100
    tunnels: int = 1024


USUAL_QUOTAS: Final = Quotas()


_QUOTAS: Final = tuple(field.name for field in fields(Quotas))


UPGRADES: Final = frozenset({b"websocket"})
"""Protocols that a guest may change to, where the policy says nothing of it."""

MOST_UPGRADES: Final = 8
"""How many of them may be named, each of at most 32 bytes (docs/protocol.md, C{hello tunnel})."""

NO_CLAIMS: Final = "the policy has no claims for this virtual machine"

MAX_IDENTITY: Final = 1024
"""Bytes of an identity with C{*} in it."""


class GlobError(ValueError):
    """An identity with C{*} that is too long."""


class PolicyError(Exception):
    """A policy that is refused as a whole; C{problems} are (line, text), in order of lines."""

    def __init__(self, problems: Iterable[tuple[int, str]]) -> None:
        self.problems = sorted(problems)
        super().__init__("; ".join(f"line {line}: {text}" for line, text in self.problems))


@value_class
class Guest:
    """
    One entry: who it is for, what they may claim, how much each of them may use.

    upgrades are the protocols that they may change to, in lower case. passthrough: they may have
    the TLS of clients as it is, and so hold the keys themselves. within says which of the claims
    each of them has, by its identity; None: all of them have all.
    """

    identities: tuple[str, ...]
    claims: tuple[Claim, ...]
    quotas: Quotas
    upgrades: frozenset[bytes] = UPGRADES
    passthrough: bool = False
    within: Callable[[str], Sequence[Claim]] | None = None


class Policy:
    """What C{parse_policy} read. Without guests (None) everybody may claim everything."""

    __slots__ = ("_exact", "_globs", "_owners", "_passthrough", "_upgrades", "default", "guests")

    def __init__(
        self,
        guests: Iterable[Guest] | None = None,
        default: Quotas = USUAL_QUOTAS,
        upgrades: frozenset[bytes] = UPGRADES,
        passthrough: bool = False,
    ) -> None:
        self.guests = None if guests is None else tuple(guests)
        self.default = default
        self._upgrades = upgrades
        self._passthrough = passthrough
        self._exact: dict[str, Guest] = {}
        self._globs: list[tuple[Glob, Guest]] = []
        owners: list[tuple[Claim, Guest]] = []
        for guest in self.guests or ():
            owners += [(claim, guest) for claim in guest.claims]
            for identity in guest.identities:
                if "*" in identity:
                    self._globs.append((Glob(identity), guest))
                else:
                    self._exact[identity] = guest
        owners.sort(key=lambda owner: owner[0].specificity, reverse=True)
        self._owners = tuple(owners)

    def says_as(self, other: Policy) -> bool:
        """Whether it says the same as another one, in the same order."""
        return (self.guests, self.default, self._upgrades, self._passthrough) == (
            other.guests,
            other.default,
            other._upgrades,
            other._passthrough,
        )

    def of(self, guests: Iterable[Guest] | None) -> Policy:
        """The same defaults for other guests; None: everybody may claim everything."""
        return Policy(guests, self.default, self._upgrades, self._passthrough)

    def with_guests(self, more: Iterable[Guest]) -> Policy:
        """Return a policy with C{more} entries; they may do what is said for all."""
        added = [
            replace(guest, upgrades=self._upgrades, passthrough=self._passthrough) for guest in more
        ]
        return self.of((*(self.guests or ()), *added))

    def guest(self, identity: str) -> Guest | None:
        """Return the entry that C{identity} belongs to."""
        guest = self._exact.get(identity)
        if guest is None:
            name = identity.encode("utf-8", "surrogateescape")
            for glob, other in self._globs:
                if glob.matches(name):
                    return other
        return guest

    def quotas(self, identity: str) -> Quotas:
        """Return how much C{identity} may use."""
        guest = self.guest(identity)
        return self.default if guest is None else guest.quotas

    def changes_to(self, protocol: bytes) -> bool:
        """Whether any guest may change to C{protocol}, which is in lower case."""
        if self.guests is None:
            return protocol in self._upgrades
        return any(protocol in guest.upgrades for guest in self.guests)

    def upgrades(self, identity: str) -> frozenset[bytes]:
        """Return the protocols that C{identity} may change to, in lower case."""
        guest = self.guest(identity)
        return self._upgrades if guest is None else guest.upgrades

    def passes_through(self, identity: str) -> bool:
        """Return whether C{identity} may have the TLS of clients as it is."""
        guest = self.guest(identity)
        return self._passthrough if guest is None else guest.passthrough

    def knows(self, identity: str) -> bool:
        """Tell whether C{identity} may claim anything at all."""
        return self.guests is None or self.guest(identity) is not None

    def allows(self, identity: str, route: Route) -> str | None:
        """Return why C{identity} may not register C{route}, or None if it may."""
        if self.guests is None:
            return None
        guest = self.guest(identity)
        if guest is None:
            return NO_CLAIMS
        for claim, owner in self._owners:
            if claim.covers_route(route):
                if owner is guest:
                    return _beyond(guest, identity, route)
                return f"{claim} belongs to another virtual machine"
        return _advice(guest, route)

    def passthrough_fault(self, identity: str, route: Route) -> str | None:
        """Return why C{identity}, which may register C{route}, may not have its TLS; or None.

        A name whose TLS is passed through has no other routes, so nobody else may own any of it.
        """
        if not self.passes_through(identity):
            return "the TLS of clients is not passed through to this virtual machine"
        guest = self.guest(identity)
        for claim, owner in self._owners:
            if claim.covers_route(route):
                break
            if owner is not guest and claim.meets_host(route.host):
                return f"{claim} belongs to another virtual machine, which would lose it"
        return None

    def owner(self, host: bytes, path: bytes) -> tuple[Claim, Guest] | None:
        """Return whose the normalised C{host} and C{path} are, and by which claim, if anybody's."""
        for claim, guest in self._owners:
            if claim.covers(host, path):
                return claim, guest
        return None


class Glob:
    """An identity in which each C{*} stands for any text; no engine is asked about it.

    Raises L{GlobError} for one that is too long.
    """

    __slots__ = ("_begins", "_between", "_ends")

    def __init__(self, identity: str) -> None:
        encoded = identity.encode("utf-8", "surrogateescape")
        if len(encoded) > MAX_IDENTITY:
            raise GlobError(f"it has {len(encoded)} bytes; at most {MAX_IDENTITY} are allowed")
        self._begins, *self._between, self._ends = encoded.split(b"*")

    def matches(self, name: bytes) -> bool:
        """Tell whether C{name} is such an identity."""
        at = len(self._begins)
        end = len(name) - len(self._ends)
        if at > end or not (name.startswith(self._begins) and name.endswith(self._ends)):
            return False
        for part in self._between:
            found = name.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True


def _beyond(guest: Guest, identity: str, route: Route) -> str | None:
    """Why a claim of its entry is not one of C{identity}; None: it is."""
    if guest.within is None:
        return None
    own = guest.within(identity)
    if any(claim.covers_route(route) for claim in own):
        return None
    return f"this virtual machine may claim {', '.join(map(str, own)) or 'nothing'}"


def _advice(guest: Guest, route: Route) -> str:
    """Say why no claim covers C{route}, and where it is only a matter of writing, how to write."""
    claims = ", ".join(map(str, guest.claims)) or "nothing"
    host = route.host
    if host.kind is not Kind.LITERAL and wildcard(host) is None:
        return (
            "with a policy a host pattern must be literal, or a wildcard such as "
            rf".*\.blog\.example; this virtual machine may claim {claims}"
        )
    path = route.path
    for claim in guest.claims:
        if path.kind is not Kind.LITERAL and claim.path and path.literal == claim.path:
            base = escape(claim.path).decode("latin-1")
            return (
                f"the path pattern may match outside {claims}; "
                f"register {base} and {base}/.* instead"
            )
    return f"this virtual machine may claim {claims}"


def parse_policy(text: str) -> Policy:
    """Return the policy in C{text}; raise L{PolicyError} with all that is wrong with it."""
    try:
        document = load_toml(text)
    except ValueError as error:  # also of a number with thousands of digits
        raise PolicyError([(error_line(str(error), text), str(error))]) from None
    except RecursionError:
        raise PolicyError([(1, "it is nested too deep")]) from None
    return read_policy(document, text)


def read_policy(document: dict[str, Any], text: str) -> Policy:
    """Return the policy that is C{document}, which C{text} says; raise L{PolicyError}."""
    return _Reader(text).read(document)


class _Reader:
    """Turns a document into a policy and notes every problem on the way."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.problems: list[tuple[int, str]] = []

    @cached_property
    def lines(self) -> TomlLines:
        """Where everything is: looked for when something is wrong."""
        return TomlLines(self._text)

    def read(self, document: dict[str, Any]) -> Policy:
        self._known(document, ("default", "guest"), "", 0)
        default, upgrades, passthrough = Quotas(), UPGRADES, False
        table = document.get("default", {})
        if isinstance(table, dict):
            self._known(table, (*_QUOTAS, "upgrades", "passthrough"), "default", 0)
            default = self._quotas(table, default, "default", 0)
            upgrades = self._upgrades(table, upgrades, "default", 0)
            passthrough = self._passthrough(table, passthrough, "default", 0)
        else:
            self._problem(self.lines.table("default"), "default must be a table: [default]")
        tables = document.get("guest", [])
        if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
            self._problem(self.lines.table("guest"), "guests must be tables: [[guest]]")
            tables = []
        guests = [
            self._guest(each, default, upgrades, passthrough, index)
            for index, each in enumerate(tables)
        ]
        self._conflicts(guests)
        if self.problems:
            raise PolicyError(self.problems)
        return Policy(guests, default, upgrades, passthrough)

    def _problem(self, line: int, text: str) -> None:
        self.problems.append((line, text))

    def _known(self, table: dict[str, Any], names: tuple[str, ...], name: str, index: int) -> None:
        for key in table:
            if key not in names:
                from difflib import get_close_matches

                close = get_close_matches(key, names)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                line = self.lines.key(key, name, index) if name else self.lines.table(key)
                self._problem(line, f"unknown key {key!r}{hint}")

    def _quotas(self, table: dict[str, Any], default: Quotas, name: str, index: int) -> Quotas:
        numbers = {}
        for key in _QUOTAS:
            value = table.get(key, getattr(default, key))
            number = parse_size(value) if key == "buffer" and isinstance(value, str) else value
            if type(number) is not int or number < 1:
                what = 'a size such as "16 MiB"' if key == "buffer" else "a number from 1"
                self._problem(self.lines.key(key, name, index), f"{key} must be {what}")
                number = getattr(default, key)
            numbers[key] = number
        return Quotas(**numbers)

    def _strings(
        self, table: dict[str, Any], key: str, default: list[str], index: int
    ) -> tuple[str, ...]:
        value = table.get(key, default)
        if isinstance(value, str):
            value = [value]
        if (
            not isinstance(value, list)
            or not value
            or not all(isinstance(each, str) and each for each in value)
        ):
            line = self.lines.key(key, "guest", index)
            self._problem(line, f"{key} must be a string or a list of strings")
            return ()
        return tuple(value)

    def _upgrades(
        self, table: dict[str, Any], default: frozenset[bytes], name: str, index: int
    ) -> frozenset[bytes]:
        value = table.get("upgrades")
        if value is None:
            return default
        if (
            not isinstance(value, list)
            or len(value) > MOST_UPGRADES
            or not all(isinstance(each, str) and _PROTOCOL.fullmatch(each) for each in value)
        ):
            self._problem(
                self.lines.key("upgrades", name, index),
                f"upgrades must be a list of at most {MOST_UPGRADES} protocols, "
                'as Upgrade names them, such as "websocket"',
            )
            return default
        return frozenset(each.lower().encode() for each in value)

    def _passthrough(self, table: dict[str, Any], default: bool, name: str, index: int) -> bool:
        value = table.get("passthrough", default)
        if type(value) is not bool:
            line = self.lines.key("passthrough", name, index)
            self._problem(line, "passthrough must be true or false")
            return default
        return value

    def _guest(
        self,
        table: dict[str, Any],
        default: Quotas,
        upgrades: frozenset[bytes],
        passthrough: bool,
        index: int,
    ) -> Guest:
        known = ("identity", "hosts", "paths", *_QUOTAS, "upgrades", "passthrough")
        self._known(table, known, "guest", index)
        for key in ("identity", "hosts"):
            if key not in table:
                self._problem(self.lines.table("guest", index), f"the guest has no {key}")
        identities = self._strings(table, "identity", ["-"], index)
        hosts = self._strings(table, "hosts", ["-"], index) if "hosts" in table else ()
        paths = self._strings(table, "paths", ["/"], index)
        claims = []
        for key, pairs in (
            ("hosts", [(host, "/") for host in hosts]),
            ("paths", [("*", path) for path in paths]),
        ):
            for host, path in pairs:
                try:
                    Claim(host, path)
                except ClaimError as error:
                    self._problem(self.lines.key(key, "guest", index), str(error))
                    hosts = paths = ()
        claims = [Claim(host, path) for host in hosts for path in paths]
        for identity in identities:
            try:
                if "*" in identity:
                    Glob(identity)
            except GlobError as error:
                line = self.lines.key("identity", "guest", index)
                self._problem(line, f"identity {identity!r}: {error}")
        quotas = self._quotas(table, default, "guest", index)
        upgrades = self._upgrades(table, upgrades, "guest", index)
        passthrough = self._passthrough(table, passthrough, "guest", index)
        return Guest(identities, tuple(dict.fromkeys(claims)), quotas, upgrades, passthrough)

    def _conflicts(self, guests: list[Guest]) -> None:
        named: dict[str, int] = {}
        for index, guest in enumerate(guests):
            for identity in guest.identities:
                before = named.setdefault(identity, index)
                if identity != "-" and before != index:
                    line, there = (
                        self.lines.key("identity", "guest", each) for each in (index, before)
                    )
                    self._problem(line, f"{identity!r} has an entry at line {there} already")
        # A literal claim is in conflict with its equal alone: they are looked up.
        literal: dict[Claim, list[tuple[Claim, int]]] = {}
        wild: list[tuple[Claim, int]] = []
        for index, guest in enumerate(guests):
            for claim in guest.claims:
                for other, before in literal.get(claim, ()) if claim.literal else wild:
                    reason = conflict(claim, other)
                    if reason is not None:
                        there = self.lines.key("hosts", "guest", before)
                        here = self.lines.key("hosts", "guest", index)
                        self._problem(here, f"{claim} {reason} (line {there}: {other})")
            for claim in guest.claims:
                (literal.setdefault(claim, []) if claim.literal else wild).append((claim, index))


def parse_size(text: str) -> int | None:
    """Return how many bytes C{text} says, such as C{16 MiB}; None if it says nothing such."""
    digits = text.rstrip("BKMGi ")
    unit = text[len(digits) :].strip()
    if not digits.isascii() or not digits.isdigit() or unit not in _UNITS:
        return None
    return int(digits) * _UNITS[unit]
