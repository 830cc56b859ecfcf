"""What C{access}, C{links}, C{users} and C{auth} of a site come to, and the files they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from subproxy.config.link_key_file import KeyFileError, read_key_file
from subproxy.config.site_files import SiteFileError
from subproxy.config.users_file import UsersFileError, read_users_file
from subproxy.core.sites.basic_auth import SiteUsers
from subproxy.core.sites.forward_auth import AuthService
from subproxy.core.sites.signed_links import LinkKeys
from subproxy.core.sites.site_access import SiteAccess

RULE: Final = "access"
"""The rule that they are."""

PUBLIC_ACCESS: Final = "public"
"""What lifts it."""

WAYS: Final[Mapping[str, str]] = {"link": "links", "users": "users", "auth": "auth"}
"""Ways in, as C{access} names them, and the key that says more of each."""

ACCESS_KEYS: Final = frozenset({RULE, *WAYS.values(), "auth-timeout", "auth-headers", "auth-cache"})
"""All keys that take part in the rule: of two sites it is one's, or the other's."""


@dataclass(frozen=True, slots=True)
class AccessFiles:
    """
    Who is let in, before files are read.

    @ivar links: the file of keys; None: no links let anybody in.
    @ivar users: the file of users; None: no password lets anybody in.
    @ivar service: who is asked; None: nobody.
    @ivar paths: those of the site, as claims have them.
    """

    links: str | None
    paths: tuple[bytes, ...]
    users: str | None = None
    service: AuthService | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """See L{subproxy.config.site_files.SiteFiles}."""
        return tuple(path for path in (self.links, self.users) if path is not None)

    def read_rule(self) -> SiteAccess:
        """See L{subproxy.config.site_files.SiteFiles}."""
        if self.service is not None:
            # A third of a second: before requests come, and of those who have a service.
            import twisted.web.client  # noqa: F401
        return SiteAccess(False, self._keys(), self.paths, self._users(), self.service)

    def _users(self) -> SiteUsers | None:
        if self.users is None:
            return None
        _need("users", "bcrypt")
        try:
            return read_users_file(self.users)
        except UsersFileError as error:
            raise SiteFileError("users", f"users: {error}") from None

    def _keys(self) -> LinkKeys | None:
        if self.links is None:
            return None
        _need("links", "itsdangerous")
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
    links, users = named["link"], named["users"]
    assert links is None or isinstance(links, str)
    assert users is None or isinstance(users, str)
    return AccessFiles(links, paths, users, _service(values) if named["auth"] else None)


def _service(values: Mapping[str, object]) -> AuthService:
    url, timeout = values["auth"], values.get("auth-timeout", 5.0)
    fields, cache = values.get("auth-headers", ()), values.get("auth-cache", 0.0)
    assert isinstance(url, bytes)
    assert isinstance(timeout, float)
    assert isinstance(fields, tuple)
    assert isinstance(cache, float)
    return AuthService(url, timeout, fields, cache)


def _need(key: str, package: str) -> None:
    if find_spec(package) is None:
        raise SiteFileError(
            key,
            f"{key}: the package {package} is missing: "
            "pip install 'subscription-proxy-vsock[access]'",
        )
