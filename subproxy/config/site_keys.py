"""
What a C{[[site]]} may say, in one table: the reader, the schema, C{subproxy init} and the reference
are made of it.

To add a key is to add a row, and what it does to L{subproxy.core.sites.site_rules.SiteRules}.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

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
from subproxy.core.sites.header_rules import HeaderRules, header_rules
from subproxy.core.sites.origins import Origins
from subproxy.core.sites.redirect import STATUSES

A_DAY: Final = 86400.0
MANY: Final = 1_000_000

Schema = Mapping[str, Any]

STRING: Final[Schema] = {"type": "string", "minLength": 1}
STRINGS: Final[Schema] = {
    "anyOf": [STRING, {"type": "array", "items": STRING, "minItems": 1}],
}
_FIELDS: Final[Schema] = {
    "type": "object",
    "additionalProperties": {"anyOf": [{"type": "string"}, *STRINGS["anyOf"]]},
}


@dataclass(frozen=True)
class SiteKey:
    """
    One key.

    @ivar name: its name in the file.
    @ivar kind: what its values are, for a person.
    @ivar read: makes the value; raises C{ValueError}. None: it takes part in another.
    @ivar schema: what a JSON schema says of it.
    @ivar help: what it does, a sentence or two.
    @ivar example: a value in TOML.
    @ivar default: what is in force without it, where that is not "none".
    @ivar rule: the attribute of L{SiteRules} that it is.
    @ivar needs: a key without which it means nothing.
    """

    name: str
    kind: str
    read: Callable[[object], object]
    schema: Schema
    help: str
    example: str
    rule: str = ""
    default: str = ""
    needs: str = ""


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


def _networks(value: object) -> NetworkSet | None:
    return None if value == "any" else _network_set(strings(value))


@lru_cache(1024)
def _network_set(names: tuple[str, ...]) -> NetworkSet:
    try:
        return NetworkSet(names)
    except ValueError as error:
        raise ValueError(f'{error}; "any" lifts it') from None


def _size(value: object) -> int:
    number = parse_size(value) if isinstance(value, str) else value
    if type(number) is not int or not 0 <= number <= MAX_LENGTH:
        raise ValueError('a number from 0 or a size such as "16 MiB" is needed')
    return number


def _number(low: float, high: float) -> Callable[[object], float]:
    kind = Number(low, high, "")
    return lambda value: kind.parse(kind.text(value))


def _count(low: int, high: int) -> Callable[[object], int]:
    kind = Count(low, high, "")
    return lambda value: kind.parse(kind.text(value))


_PERIODS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
_RATE: Final = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,6})?)/([smh])")


def _rate(value: object) -> float:
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


def _prefix(value: object) -> bytes | None:
    if not isinstance(value, str):
        raise ValueError("a string is needed, in quotes")
    path = value.encode("utf-8")
    if path in (b"", b"/"):
        return None
    normal = normalise_path(path)
    if not path.startswith(b"/") or normal != path:
        raise ValueError(f"a path in its normal form is needed, as in {normal.decode()!r}")
    return path.rstrip(b"/")


def _host(value: object) -> bytes | None:
    if not isinstance(value, str):
        raise ValueError("a string is needed, in quotes")
    host = value.encode("utf-8")
    fault = host_fault(host) if host else None
    if fault is not None:
        raise ValueError("a host and perhaps a port is needed")
    return host or None


def _headers(of_request: bool) -> Callable[[object], HeaderRules | None]:
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


def _redirect(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a string is needed, in quotes")
    return value


def _status(value: object) -> int:
    if type(value) is not int or value not in STATUSES:
        raise ValueError(f"one of {', '.join(map(str, STATUSES))} is needed")
    return value


def _sticky(value: object) -> Affinity | None:
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


def _upgrade(value: object) -> frozenset[bytes] | None:
    if value == "any":
        return None
    tokens = frozenset(each.lower().encode() for each in (strings(value) if value != [] else ()))
    for token in tokens:
        if len(token) > 32 or token.translate(None, TOKEN + b"/"):
            raise ValueError(f'{token.decode()!r} is not a protocol; "any" lifts it')
    return tokens


def _origins(value: object) -> Origins | None:
    return None if value == "any" else Origins(strings(value))


def _any_of(*kinds: Schema) -> Schema:
    return {"anyOf": list(kinds)}


_HEADERS: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "set": _FIELDS,
        "add": _FIELDS,
        "remove": {"anyOf": [STRING, {"type": "array", "items": STRING}]},
    },
}

KEYS: Final[tuple[SiteKey, ...]] = (
    SiteKey(
        "hosts",
        "string or array",
        strings,
        STRINGS,
        "Hosts, as in `[[guest]]`: one, all below one as `*.blog.example`, or `*` for any.",
        '"blog.example"',
        default="needed",
    ),
    SiteKey(
        "paths",
        "string or array",
        strings,
        STRINGS,
        "Paths: each covers itself and what is below.",
        '"/"',
        default='`"/"`',
    ),
    SiteKey(
        "networks",
        'array of networks, or `"any"`',
        _networks,
        STRINGS,
        "Only clients in these networks may ask, such as 10.0.0.0/8, 2001:db8::/32, or unix; "
        'others get 403. "any" lifts it.',
        '["10.0.0.0/8", "2001:db8::/32"]',
        rule="networks",
        default="any",
    ),
    SiteKey(
        "max-body",
        'whole number from 0, or a size such as `"16 MiB"`',
        _size,
        _any_of(
            {"type": "integer", "minimum": 0, "maximum": MAX_LENGTH},
            {"type": "string", "pattern": "^[0-9]+ *(B|KiB|MiB|GiB)?$"},
        ),
        "Largest request body, in bytes; a larger one gets 413; 0: no limit.",
        '"16 MiB"',
        rule="max_body",
        default="`[limits]`",
    ),
    SiteKey(
        "response-timeout",
        "number, 0.1 to 86400; seconds",
        _number(0.1, A_DAY),
        {"type": "number", "minimum": 0.1, "maximum": A_DAY},
        "Seconds from a whole request to its response head, then 504.",
        "300",
        rule="response_timeout",
        default="`[limits]`",
    ),
    SiteKey(
        "queue-timeout",
        "number, 0 to 86400; seconds",
        _number(0.0, A_DAY),
        {"type": "number", "minimum": 0, "maximum": A_DAY},
        "Seconds that requests wait while all subscribers are busy.",
        "2",
        rule="queue_timeout",
        default="`[guests]`",
    ),
    SiteKey(
        "hold",
        "number, 0 to 86400; seconds",
        _number(0.0, A_DAY),
        {"type": "number", "minimum": 0, "maximum": A_DAY},
        "Seconds that requests wait for a route that nobody serves just now.",
        "30",
        rule="hold",
        default="`[guests]`",
    ),
    SiteKey(
        "rate",
        'number, or such as `"100/m"`',
        _rate,
        _any_of(
            {"type": "number", "minimum": 0, "maximum": MANY},
            {"type": "string", "pattern": "^[0-9]{1,7}(\\.[0-9]{1,6})?/[smh]$"},
        ),
        "Requests a second of one client, or a minute or an hour; more get 429 with Retry-After; "
        "0 lifts it.",
        '"100/m"',
        rule="rate",
    ),
    SiteKey(
        "burst",
        f"whole number, 1 to {MANY}",
        _count(1, MANY),
        {"type": "integer", "minimum": 1, "maximum": MANY},
        "Requests of one client at once, above which rate counts.",
        "20",
        default="those of a second, at least 1",
        needs="rate",
    ),
    SiteKey(
        "connections",
        f"whole number, 0 to {MANY}",
        _count(0, MANY),
        {"type": "integer", "minimum": 0, "maximum": MANY},
        "Requests of one client under way at a time; more get 429 with Retry-After; 0 lifts it.",
        "10",
        rule="connections",
    ),
    SiteKey(
        "upgrade",
        'array of protocols, or `"any"`',
        _upgrade,
        _any_of(STRING, {"type": "array", "items": STRING}),
        "What clients may change to, such as websocket; other upgrades are ignored, as if nobody "
        'took them. An empty array is none. "any" lifts it.',
        '["websocket"]',
        rule="upgrade",
        default="any",
    ),
    SiteKey(
        "origins",
        'array of origins, or `"any"`',
        _origins,
        STRINGS,
        "Pages that may open WebSockets: https://blog.example, https://*.blog.example, or same for "
        'pages of the host itself; others get 403. "any" lifts it.',
        '["same", "https://app.example"]',
        rule="origins",
        default="any",
    ),
    SiteKey(
        "request-headers",
        "table of `set`, `add`, `remove`",
        _headers(True),
        _HEADERS,
        "Fields of requests that are removed, then set, then added, before a guest sees them.",
        '{ set = { X-Environment = "production" }, remove = ["X-Debug"] }',
        rule="request_headers",
    ),
    SiteKey(
        "response-headers",
        "table of `set`, `add`, `remove`",
        _headers(False),
        _HEADERS,
        "The same of responses, before a client sees them; not of the proxy's own error pages.",
        '{ set = { X-Frame-Options = "DENY" }, remove = ["Server"] }',
        rule="response_headers",
    ),
    SiteKey(
        "strip-prefix",
        "string",
        _prefix,
        {"type": "string", "pattern": "^(/.*)?$"},
        'What is cut off the path before a guest sees it; it is in X-Forwarded-Prefix then. "" '
        "lifts it.",
        '"/blog"',
        rule="strip_prefix",
    ),
    SiteKey(
        "host",
        "string",
        _host,
        {"type": "string"},
        'What guests see as Host; X-Forwarded-Host has what was asked for. "" lifts it.',
        '"blog.internal"',
        rule="host",
    ),
    SiteKey(
        "redirect",
        "string",
        _redirect,
        {"type": "string"},
        "Where all requests are sent on to: a URL with {uri}, {path}, {host} or {scheme} in it. "
        '"" lifts it.',
        '"https://www.blog.example{uri}"',
        rule="redirect",
    ),
    SiteKey(
        "redirect-status",
        ", ".join(map(str, STATUSES)),
        _status,
        {"enum": list(STATUSES)},
        "With which status.",
        "308",
        default="`307`",
        needs="redirect",
    ),
    SiteKey(
        "sticky",
        '`"cookie"`, table of `cookie` and `same-site`, table of `header`, or `false`',
        _sticky,
        _any_of(
            {"enum": ["cookie", False]},
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {"cookie": STRING, "same-site": {"enum": list(SAME_SITE)}},
                "required": ["cookie"],
            },
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {"header": STRING},
                "required": ["header"],
            },
        ),
        "Requests of one session go to one subscriber: by a cookie of the proxy's, or by the value "
        "of a field. false lifts it.",
        '"cookie"',
        rule="sticky",
    ),
)
"""Every key, in the order of the reference."""

BY_NAME: Final[Mapping[str, SiteKey]] = {each.name: each for each in KEYS}

LATER: Final[Mapping[str, str]] = {
    "access": "who may ask is said by networks so far",
    "acme": "certificates are read from files so far",
    "auth": "nobody logs in here so far",
    "client-ca": "certificates of clients are not asked for so far",
    "hsts": "response-headers can set Strict-Transport-Security",
    "https": 'redirect = "https://{host}{uri}" sends clients on',
    "wake": "no machine is woken so far: guests are started by others",
}
"""Keys that later versions will know, and what there is instead: refused, since to accept them and
do nothing would be dangerous."""
