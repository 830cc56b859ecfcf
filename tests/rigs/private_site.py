"""Sites with the files that they name, and links to the private ones."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from subproxy.config.configuration import parse_configuration
from subproxy.config.link_key_file import KeyFile, KeyLine, write_key_file
from subproxy.config.site_files import SiteFileError, with_files
from subproxy.core.sites.signed_links import Link, LinkKeys
from subproxy.core.sites.site import Site

WALL = 1_800_000_000.0
"""The time of day, seconds since the epoch, in tests of what expires."""

SECRETS = ("old" * 15, "new" * 15)


def sites_of(text: str) -> tuple[Site, ...]:
    """The sites of a configuration, with what is in their files."""
    found = []
    for site in with_files(parse_configuration(text).sites):
        if isinstance(site, SiteFileError):
            raise site
        found.append(site)
    return tuple(found)


def key_file(path: str, *revoked: str, secrets: tuple[str, ...] = SECRETS) -> str:
    """Write a file of keys; its path."""
    made = datetime.fromtimestamp(WALL, timezone.utc)
    keys = tuple(KeyLine(made, secret) for secret in secrets)
    write_key_file(path, KeyFile(keys, tuple((name, made) for name in revoked)))
    return str(Path(path).absolute())


def token(
    path: str = "/",
    host: str = "a.example",
    expires: float = 3600.0,
    name: str = "5f3a91c20b7d",
    secrets: tuple[str, ...] = SECRETS,
) -> bytes:
    """A token that is good for so many seconds from C{WALL} on."""
    link = Link(name, host, path, int(WALL + expires))
    return LinkKeys(secrets).sign(link).encode()
