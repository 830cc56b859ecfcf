"""What the keys C{access} and C{links} of a site come to, and the files that they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from subproxy.config.link_key_file import KeyFileError, read_key_file
from subproxy.config.site_files import SiteFileError
from subproxy.core.sites.signed_links import LinkKeys
from subproxy.core.sites.site_access import SiteAccess

RULE: Final = "access"
"""The rule that they are."""

PUBLIC_ACCESS: Final = "public"
"""What lifts it."""

WAYS: Final[Mapping[str, str]] = {"link": "links"}
"""Ways in, as C{access} names them, and the key that says more of each."""


@dataclass(frozen=True, slots=True)
class AccessFiles:
    """
    Who is let in, before files are read.

    @ivar links: the file of keys; None: no links let anybody in.
    @ivar paths: those of the site, as claims have them.
    """

    links: str | None
    paths: tuple[bytes, ...]

    def read_rule(self) -> SiteAccess:
        """See L{subproxy.config.site_files.SiteFiles}."""
        return SiteAccess(links=self._keys(), paths=self.paths)

    def _keys(self) -> LinkKeys | None:
        if self.links is None:
            return None
        try:
            import itsdangerous  # noqa: F401
        except ImportError:
            raise SiteFileError(
                "links",
                "links: the package itsdangerous is missing: "
                "pip install 'subscription-proxy-vsock[access]'",
            ) from None
        try:
            return read_key_file(self.links).link_keys
        except KeyFileError as error:
            raise SiteFileError("links", f"links: {error}") from None


def access_rule(values: Mapping[str, object], paths: tuple[bytes, ...]) -> AccessFiles | None:
    """
    The rule of a site that has one of those keys; None: it is public.

    @param values: what its keys say.
    @raise ValueError: they do not go together; the text begins with the key.
    """
    said = values.get(RULE)
    named = {way: values.get(key) for way, key in WAYS.items()}
    if said is None:
        ways = tuple(way for way, value in named.items() if value is not None)
        if len(ways) > 1:
            keys = " and ".join(WAYS[way] for way in ways)
            raise ValueError(f"access: {keys} are said: which of them let a client in?")
    else:
        assert isinstance(said, tuple)
        ways = said
        for way, value in named.items():
            if way in ways and value is None:
                raise ValueError(f"access: {way!r} wants {WAYS[way]} beside it")
            if way not in ways and value is not None:
                raise ValueError(f"{WAYS[way]}: access does not say {way!r}")
    if not ways:
        return None
    links = named["link"]
    assert links is None or isinstance(links, str)
    return AccessFiles(links, paths)
