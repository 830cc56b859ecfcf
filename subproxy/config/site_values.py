"""Readers of the values of a C{[[site]]}; each raises C{ValueError} with a reason for a person."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from subproxy.config.access_files import PUBLIC_ACCESS, WAYS
from subproxy.config.setting import Count, Number
from subproxy.core.access.policy import parse_size
from subproxy.core.http.fields import MAX_LENGTH, TOKEN
from subproxy.core.http.networks import NetworkSet
from subproxy.core.http.normalise import host_fault, normalise_path
from subproxy.core.sites.affinity import (
    COOKIE,
    SAME_SITE,
    Affinity,
    CookieAffinity,
    HeaderAffinity,
)
from subproxy.core.sites.forward_auth import field_fault
from subproxy.core.sites.header_rules import HeaderRules, header_rules
from subproxy.core.sites.origins import Origins
from subproxy.core.sites.redirect import HTTPS_PORT, STATUSES

MANY: Final = 1_000_000
A_YEAR: Final = 31_536_000
MAX_AGE: Final = 10 * A_YEAR
"""Seconds for which a browser is told to come by https."""


def strings(value: object) -> tuple[str, ...]:
    """A string, or several."""
    found = [value] if isinstance(value, str) else value
    if (
        not isinstance(found, list)
        or not found
        or not all(isinstance(each, str) and each for each in found)
    ):
        raise ValueError("a string or a list of strings is needed")
    return tuple(found)


def networks(value: object) -> NetworkSet | None:
    """Networks; None for any."""
    return None if value == "any" else _network_set(strings(value))


@lru_cache(1024)
def _network_set(names: tuple[str, ...]) -> NetworkSet:
    try:
        return NetworkSet(names)
    except ValueError as error:
        raise ValueError(f'{error}; "any" lifts it') from None


def size(value: object) -> int:
    """Bytes."""
    number = parse_size(value) if isinstance(value, str) else value
    if type(number) is not int or not 0 <= number <= MAX_LENGTH:
        raise ValueError('a number from 0 or a size such as "16 MiB" is needed')
    return number


def number(low: float, high: float) -> Callable[[object], float]:
    """What reads a number of that range."""
    kind = Number(low, high, "")
    return lambda value: kind.parse(kind.text(value))


def count(low: int, high: int) -> Callable[[object], int]:
    """What reads a whole number of that range."""
    kind = Count(low, high, "")
    return lambda value: kind.parse(kind.text(value))


_AUTH_URL: Final = re.compile(r"http://([^/?#@\s]+)(?:/[!$-;=@-Z_a-z~]*)?(?:\?[!$-;=?@-Z_a-z~]*)?")
_PERIODS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
_RATE: Final = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,6})?)/([smh])")


def rate(value: object) -> float:
    """Requests a second."""
    if isinstance(value, str):
        found = _RATE.fullmatch(value)
        rate = float(found[1]) / _PERIODS[found[2]] if found else math.nan
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        rate = float(value)
    else:
        rate = math.nan
    if not (rate == 0.0 or 0.0001 <= rate <= MANY):
        raise ValueError('a number of requests a second, or such as "100/m", is needed')
    return rate


def prefix(value: object) -> bytes | None:
    """A beginning of paths; None for none."""
    if not isinstance(value, str):
        raise ValueError("a string is needed, in quotes")
    path = value.encode("utf-8")
    if path in (b"", b"/"):
        return None
    normal = normalise_path(path)
    if not path.startswith(b"/") or normal != path:
        raise ValueError(f"a path in its normal form is needed, as in {normal.decode()!r}")
    return path.rstrip(b"/")


def host(value: object) -> bytes | None:
    """A host, perhaps with a port; None for none."""
    if not isinstance(value, str):
        raise ValueError("a string is needed, in quotes")
    host = value.encode("utf-8")
    fault = host_fault(host) if host else None
    if fault is not None:
        raise ValueError("a host and perhaps a port is needed")
    return host or None


def headers(of_request: bool) -> Callable[[object], HeaderRules | None]:
    """What reads rules for fields; these are None if they do nothing."""

    def read(value: object) -> HeaderRules | None:
        if not isinstance(value, dict):
            raise ValueError("a table with set, add and remove is needed")
        wrong = [key for key in value if key not in ("set", "add", "remove")]
        if wrong:
            raise ValueError(f"unknown key {wrong[0]!r}; there are set, add, remove")
        found = header_rules(
            strings(value["remove"]) if value.get("remove", []) != [] else (),
            _pairs(value.get("set", {})),
            _pairs(value.get("add", {})),
            of_request=of_request,
        )
        return None if found == HeaderRules() else found

    return read


def _pairs(table: object) -> list[tuple[str, str]]:
    if not isinstance(table, dict):
        raise ValueError("a table of names and values is needed")
    return [
        (name, each)
        for name, value in table.items()
        for each in ([""] if value == "" else strings(value))
    ]


def https_port(value: object) -> int | None:
    """The port of https; None to stay with http."""
    if isinstance(value, bool):
        return HTTPS_PORT if value else None
    if not isinstance(value, int) or not 1 <= value <= 65535:
        raise ValueError("true, false or a port is needed")
    return value


def hsts(value: object) -> bytes | None:
    """What C{Strict-Transport-Security} says (RFC 6797 section 6.1); None for nothing."""
    if value is False:
        return None
    table = {"max-age": value} if type(value) is int else value
    if not isinstance(table, dict) or "max-age" not in table:
        raise ValueError("seconds, { max-age = SECONDS } or false is needed")
    wrong = [key for key in table if key not in ("max-age", "include-subdomains", "preload")]
    if wrong:
        raise ValueError(
            f"unknown key {wrong[0]!r}; there are max-age, include-subdomains, preload"
        )
    age = table["max-age"]
    if type(age) is not int or not 0 <= age <= MAX_AGE:
        raise ValueError(f"max-age is seconds, 0 to {MAX_AGE}")
    below, preload = (table.get(key, False) for key in ("include-subdomains", "preload"))
    if not isinstance(below, bool) or not isinstance(preload, bool):
        raise ValueError("include-subdomains and preload are true or false")
    if preload and not (below and age >= A_YEAR):
        raise ValueError("preload wants include-subdomains, and a max-age of at least a year")
    found = b"max-age=%d" % age
    found += b"; includeSubDomains" if below else b""
    return found + (b"; preload" if preload else b"")


def redirect_target(value: object) -> str:
    """Where a redirect leads, which is not read here; empty for nowhere."""
    if not isinstance(value, str):
        raise ValueError("a string is needed, in quotes")
    return value


def redirect_status(value: object) -> int:
    """With which status."""
    if type(value) is not int or value not in STATUSES:
        raise ValueError(f"one of {', '.join(map(str, STATUSES))} is needed")
    return value


def sticky(value: object) -> Affinity | None:
    """Which subscriber a client belongs to; None for any."""
    if value is False:
        return None
    if value == "cookie":
        return CookieAffinity(COOKIE.encode())
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError('"cookie", { cookie = NAME }, { header = NAME } or false is needed')
    wrong = [key for key in value if key not in ("cookie", "header", "same-site")]
    if wrong:
        raise ValueError(f"unknown key {wrong[0]!r}; there are cookie, header, same-site")
    if ("cookie" in value) == ("header" in value):
        raise ValueError("cookie or header is needed, and not both")
    name = str(value.get("cookie") or value.get("header")).encode("utf-8")
    if not name or len(name) > 64 or name.translate(None, TOKEN):
        raise ValueError(f"{name.decode()!r} is not a name")
    if "header" in value:
        if "same-site" in value:
            raise ValueError("same-site is of a cookie")
        return HeaderAffinity(name.lower())
    same_site = value.get("same-site", "lax").lower()
    if same_site not in SAME_SITE:
        raise ValueError(f"same-site is one of {', '.join(SAME_SITE)}")
    return CookieAffinity(name, same_site)


def upgrade(value: object) -> frozenset[bytes] | None:
    """Protocols, in lower case; None for any."""
    if value == "any":
        return None
    tokens = frozenset(each.lower().encode() for each in (strings(value) if value != [] else ()))
    for token in tokens:
        if len(token) > 32 or token.translate(None, TOKEN + b"/"):
            raise ValueError(f'{token.decode()!r} is not a protocol; "any" lifts it')
    return tokens


def origins(value: object) -> Origins | None:
    """Pages; None for any."""
    return None if value == "any" else Origins(strings(value))


def wake(value: object) -> frozenset[bytes] | None:
    """Methods; None for any."""
    if value is True:
        return None
    if value is False:
        return frozenset()
    if not isinstance(value, list):
        raise ValueError("true, false or a list of methods is needed")
    methods = frozenset(each.encode() for each in strings(value))
    for method in methods:
        if method.translate(None, TOKEN):
            raise ValueError(f"{method.decode()!r} is not a method")
    return methods


def file(value: object) -> str:
    """The path of a file."""
    if not isinstance(value, str) or not value:
        raise ValueError("a file is needed, in quotes")
    return value


def auth_url(value: object) -> bytes:
    """Where a service is asked."""
    found = _AUTH_URL.fullmatch(value) if isinstance(value, str) else None
    if found is None or host_fault(found[1].encode()) is not None:
        raise ValueError("a URL such as http://127.0.0.1:4181/auth is needed")
    return found[0].encode()


def auth_headers(value: object) -> tuple[bytes, ...]:
    """Names of fields, in lower case."""
    names = tuple(each.encode() for each in strings(value))
    for name in names:
        fault = field_fault(name)
        if fault is not None:
            raise ValueError(f"{name.decode()!r} {fault}")
    return tuple(dict.fromkeys(name.lower() for name in names))


def access(value: object) -> tuple[str, ...]:
    """Ways in; none for everybody."""
    if value == PUBLIC_ACCESS:
        return ()
    ways = strings(value)
    wrong = [each for each in ways if each not in WAYS]
    if wrong or len(set(ways)) != len(ways):
        known = ", ".join(WAYS)
        raise ValueError(f'"{PUBLIC_ACCESS}", or some of {known} is needed, each once')
    return ways


def files(value: object) -> tuple[str, ...] | None:
    """Paths of files; None for none."""
    return None if value is False else strings(value)


def flag(value: object) -> bool:
    """Yes or no."""
    if not isinstance(value, bool):
        raise ValueError("true or false is needed")
    return value


def wanted(value: object) -> bool | None:
    """True; None for false, which lifts it."""
    return flag(value) or None
