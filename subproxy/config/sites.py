"""Reads the tables C{[[site]]} of a configuration file (L{subproxy.config.site_keys})."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from subproxy.config.access_files import ACCESS_KEYS, access_rule
from subproxy.config.client_ca import ClientCaFiles
from subproxy.config.shown_value import shown_value
from subproxy.config.site_keys import BY_NAME, KEYS
from subproxy.config.unknown_key import unknown_key
from subproxy.core.access.claims import Claim, ClaimError
from subproxy.core.sites.client_limits import ConnectionLimit, RateLimit
from subproxy.core.sites.redirect import redirect
from subproxy.core.sites.site import Site

REDIRECT_STATUS = 307

Note = Callable[[int, str, str], None]
"""Takes what is wrong: the number of the site, the key or an empty string, and what."""

OF_HOSTS = ("client-ca", "acme")
"""Keys of sites that have no paths."""

Where = Callable[[int, str], int]
"""The line of a key of a site, by the number of the site."""


def read_sites(tables: Sequence[Mapping[str, object]], note: Note, where: Where) -> list[Site]:
    """The sites of C{tables}; what is wrong with them goes to C{note}."""
    taken: dict[Claim, int] = {}
    sites = []
    for index, table in enumerate(tables):
        values = _values(table, index, note)
        claims = _claims(values, index, note)
        for key in OF_HOSTS:
            if key in table and any(claim.path for claim in claims):
                # The handshake is over when a path is asked for.
                note(index, key, f"{key} is a rule of whole hosts: the site has no paths")
        for claim in claims:
            before = taken.setdefault(claim, index)
            if before != index:
                line = where(before, "hosts")
                note(index, "hosts", f"{claim} has a site at line {line} already")
        try:
            rules = _rules(values, str(claims[0]) if claims else "")
        except ValueError as error:
            note(index, "redirect", f"redirect = {table['redirect']!r}: {error}")
            continue
        if ACCESS_KEYS & values.keys():
            try:
                rules["access"] = access_rule(
                    values, tuple(sorted({claim.path for claim in claims}))
                )
            except ValueError as error:
                note(index, str(error).partition(":")[0], str(error))
        sites.append(Site(claims, rules))
    return sites


def _values(table: Mapping[str, object], index: int, note: Note) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in table.items():
        row = BY_NAME.get(key)
        if row is None:
            note(index, key, unknown_key(key, BY_NAME, {}, "[[site]]"))
            continue
        if row.needs and row.needs not in table:
            note(index, key, f"{key} is said beside {row.needs}, which is not here")
        try:
            values[key] = row.read(value)
        except ValueError as error:
            note(index, key, f"{key} = {shown_value(value)}: {error}")
    if "hosts" not in table:
        note(index, "", "the site has no hosts")
    return values


def _claims(values: Mapping[str, object], index: int, note: Note) -> tuple[Claim, ...]:
    hosts, paths = values.get("hosts", ()), values.get("paths", ("/",))
    assert isinstance(hosts, tuple)
    assert isinstance(paths, tuple)
    found: dict[Claim, None] = {}
    wrong: set[str] = set()
    for host in hosts:
        for path in paths:
            try:
                found[Claim(host, path)] = None
            except ClaimError as error:
                said = str(error)
                if said not in wrong:
                    wrong.add(said)
                    note(index, "paths" if said.startswith("path ") else "hosts", said)
    return tuple(found)


def _rules(values: Mapping[str, object], scope: str) -> dict[str, object]:
    """
    What a site says, by the names of L{subproxy.core.sites.site_rules.SiteRules}.

    @raise ValueError: its redirect leads nowhere.
    """
    rules: dict[str, object] = {}
    for row in KEYS:
        if row.rule and row.name in values:
            rules[row.rule] = values[row.name]
    files = values.get("client-ca")
    if isinstance(files, tuple):
        lists = values.get("client-crl")
        rules["client_ca"] = ClientCaFiles(
            files,
            values.get("client-ca-optional") is True,
            lists if isinstance(lists, tuple) else (),
        )
    rate = values.get("rate")
    if isinstance(rate, float):
        burst = values.get("burst", max(1, math.ceil(rate)))
        assert isinstance(burst, int)
        rules["rate"] = RateLimit(scope, rate, burst) if rate else None
    most = values.get("connections")
    if isinstance(most, int):
        rules["connections"] = ConnectionLimit(scope, most) if most else None
    to = values.get("redirect")
    if isinstance(to, str):
        status = values.get("redirect-status", REDIRECT_STATUS)
        assert isinstance(status, int)
        rules["redirect"] = redirect(to, status) if to else None
    return rules
