"""The routes of a declared machine: those that exist whether it runs or not."""

from __future__ import annotations

from collections.abc import Iterable

from subproxy.core.access.claims import Claim
from subproxy.core.routing.pattern import escape
from subproxy.core.routing.route import ANY_PATH, Route
from subproxy.machines.declaration import Machine


def claims_of(machine: Machine) -> list[Claim]:
    """What it, and nobody else, may register."""
    return [Claim(host, path) for host in machine.hosts for path in machine.paths]


def routes_of(claims: Iterable[Claim], *, one_label: bool) -> list[Route]:
    """What is declared for a claim: routes of what it covers; of a template hosts of one label."""
    found: dict[Route, None] = {}
    for claim in claims:
        suffix = escape(claim.suffix)
        host = suffix if claim.literal else (rb"[^.]+" if one_label else rb".*") + suffix
        if claim.path:
            path = escape(claim.path)
            found[Route(host, path)] = None
            found[Route(host, path + ANY_PATH)] = None
        else:
            found[Route(host, ANY_PATH)] = None
    return list(found)
