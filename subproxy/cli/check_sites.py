"""What C{subproxy check} says of sites: which leave the compiled path, which nobody can serve."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from subproxy.config.access_files import ACCESS_KEYS
from subproxy.config.configuration import SITE, Configuration
from subproxy.config.toml_text import toml_value
from subproxy.core.access.policy import Policy
from subproxy.core.access.toml_lines import load_toml
from subproxy.core.printable import printable
from subproxy.core.sites.site_rules import key_of
from subproxy.core.sites.site_table import SiteTable
from subproxy.core.sites.unserved import unserved

MOST = 20
"""Sites that are told one by one."""


def _first(lines: Iterable[str], most: int, rest: str) -> Iterator[str]:
    count = 0
    for line in lines:
        if count < most:
            yield line
        count += 1
    if count > most:
        yield rest.format(count - most)


def not_compiled(configuration: Configuration) -> Iterator[str]:
    """Say of each site which of its rules, or of those above it, are asked at each request."""
    table = SiteTable(configuration.sites)

    def lines() -> Iterator[str]:
        for index, site in enumerate(configuration.sites):
            rules = {
                key_of(name): None
                for claim in site.claims
                for name in table.rules_of(claim).asked_each_time
            }
            if rules:
                line = configuration.lines.table(SITE, index)
                yield (
                    f"{configuration.path}:{line}: note: {site.claims[0]} is not on the compiled "
                    f"path, for {', '.join(rules)}"
                )

    yield from _first(
        lines(), MOST, f"{configuration.path}: note: nor are the sites of {{}} more tables"
    )


def unserved_hosts(configuration: Configuration, policy: Policy) -> Iterator[str]:
    """Warn of each host of a site that no guest may claim."""

    def lines() -> Iterator[str]:
        for index, host in unserved(configuration.sites, policy):
            line = configuration.lines.key("hosts", SITE, index)
            yield (
                f"{configuration.path}:{line}: warning: no [[guest]] may claim {printable(host)!r}"
            )

    yield from _first(lines(), MOST, f"{configuration.path}: warning: nor {{}} more hosts of sites")


def site_lines(configuration: Configuration) -> Iterator[str]:
    """Each site as TOML has it: what it says, and what it has of wider ones, with their lines."""
    tables: list[Mapping[str, Any]] = load_toml(configuration.text).get(SITE, [])
    table = SiteTable(configuration.sites)
    numbers = {id(site): index for index, site in enumerate(configuration.sites)}
    path, lines = configuration.path, configuration.lines
    for index, (site, said) in enumerate(zip(configuration.sites, tables, strict=True)):
        yield f"{'[[site]]':40}  # {path}:{lines.table(SITE, index)}"
        for key, value in said.items():
            yield _line(key, value, f"{path}:{lines.key(key, SITE, index)}")
        seen = set(said)
        for wider in table.of_claim(site.claims[0])[1:]:
            other = numbers[id(wider)]
            if seen & ACCESS_KEYS:
                seen |= ACCESS_KEYS
            for key, value in tables[other].items():
                if key not in seen and key not in ("hosts", "paths"):
                    where = f"{path}:{lines.key(key, SITE, other)}, of {wider.claims[0]}"
                    yield _line(key, value, where)
            seen.update(tables[other])
        yield ""


def _line(key: str, value: object, where: str) -> str:
    return f"{f'{key} = {toml_value(value)}':40}  # {where}"
