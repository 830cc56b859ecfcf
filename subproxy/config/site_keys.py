"""
What a C{[[site]]} may say, in one table: the reader, the schema, C{subproxy init} and the reference
are made of it.

To add a key is to add a row, and what it does to L{subproxy.core.sites.site_rules.SiteRules}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from subproxy.config import site_values as values
from subproxy.config.access_files import PUBLIC_ACCESS, WAYS
from subproxy.config.site_values import MANY, MAX_AGE
from subproxy.core.http.fields import MAX_LENGTH
from subproxy.core.sites.affinity import SAME_SITE
from subproxy.core.sites.redirect import STATUSES

A_DAY: Final = 86400.0

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
        values.strings,
        STRINGS,
        "Hosts, as in `[[guest]]`: one, all below one as `*.blog.example`, or `*` for any.",
        '"blog.example"',
        default="needed",
    ),
    SiteKey(
        "paths",
        "string or array",
        values.strings,
        STRINGS,
        "Paths: each covers itself and what is below.",
        '"/"',
        default='`"/"`',
    ),
    SiteKey(
        "networks",
        'array of networks, or `"any"`',
        values.networks,
        STRINGS,
        "Only clients in these networks may ask, such as 10.0.0.0/8, 2001:db8::/32, or unix; "
        'others get 403. "any" lifts it.',
        '["10.0.0.0/8", "2001:db8::/32"]',
        rule="networks",
        default="any",
    ),
    SiteKey(
        "client-ca",
        "string or array of files, or `false`",
        values.files,
        _any_of({"const": False}, *STRINGS["anyOf"]),
        "Files with the certificates (PEM) of those who vouch for clients: over TLS a client must "
        "show a certificate of theirs, else its handshake fails; without TLS it gets 403. Of whole "
        "hosts only. false lifts it.",
        '"/etc/subproxy/clients.pem"',
        rule="client_ca",
    ),
    SiteKey(
        "client-ca-optional",
        "`true` or `false`",
        values.flag,
        {"type": "boolean"},
        "Clients may also show no certificate; the guest is told whether they did.",
        "true",
        default="`false`",
        needs="client-ca",
    ),
    SiteKey(
        "client-crl",
        "string or array of files, or `false`",
        values.files,
        _any_of({"const": False}, *STRINGS["anyOf"]),
        "Files with lists (PEM) of what these have revoked: who shows such a certificate is "
        "refused. Each authority of a chain needs a list, and one that is in force: without it "
        "nobody is let in. Read again when they change. false lifts it.",
        '"/etc/subproxy/revoked.pem"',
        default="`false`",
        needs="client-ca",
    ),
    SiteKey(
        "acme",
        "`true` or `false`",
        values.flag,
        {"type": "boolean"},
        "false: with `--acme`, no certificates are ordered for these hosts, nor for a wildcard "
        "that is one of them. Of whole hosts only.",
        "false",
        rule="acme",
        default="`true`",
    ),
    SiteKey(
        "max-body",
        'whole number from 0, or a size such as `"16 MiB"`',
        values.size,
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
        values.number(0.1, A_DAY),
        {"type": "number", "minimum": 0.1, "maximum": A_DAY},
        "Seconds from a whole request to its response head, then 504.",
        "300",
        rule="response_timeout",
        default="`[limits]`",
    ),
    SiteKey(
        "queue-timeout",
        "number, 0 to 86400; seconds",
        values.number(0.0, A_DAY),
        {"type": "number", "minimum": 0, "maximum": A_DAY},
        "Seconds that requests wait while all subscribers are busy.",
        "2",
        rule="queue_timeout",
        default="`[guests]`",
    ),
    SiteKey(
        "hold",
        "number, 0 to 86400; seconds",
        values.number(0.0, A_DAY),
        {"type": "number", "minimum": 0, "maximum": A_DAY},
        "Seconds that requests wait for a route that nobody serves just now.",
        "30",
        rule="hold",
        default="`[guests]`",
    ),
    SiteKey(
        "rate",
        'number, or such as `"100/m"`',
        values.rate,
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
        values.count(1, MANY),
        {"type": "integer", "minimum": 1, "maximum": MANY},
        "Requests of one client at once, above which rate counts.",
        "20",
        default="those of a second, at least 1",
        needs="rate",
    ),
    SiteKey(
        "connections",
        f"whole number, 0 to {MANY}",
        values.count(0, MANY),
        {"type": "integer", "minimum": 0, "maximum": MANY},
        "Requests of one client under way at a time; more get 429 with Retry-After; 0 lifts it.",
        "10",
        rule="connections",
    ),
    SiteKey(
        "access",
        '`"public"`, or array of ' + ", ".join(f'`"{way}"`' for way in WAYS),
        values.access,
        _any_of(
            {"enum": [PUBLIC_ACCESS, *WAYS]},
            {"type": "array", "items": {"enum": [*WAYS]}, "minItems": 1, "uniqueItems": True},
        ),
        "Who is let in, where more than one of these keys is said: whom any of those named lets "
        "in. public lifts what a wider site says.",
        "[" + ", ".join(f'"{way}"' for way in WAYS) + "]",
        rule="access",
        default="what is said",
    ),
    SiteKey(
        "links",
        "string",
        values.file,
        STRING,
        "A file with keys: only who has a link that `subproxy link` has signed with one of them "
        "is let in; others get 403.",
        '"/etc/subproxy/links.keys"',
    ),
    SiteKey(
        "users",
        "string",
        values.file,
        STRING,
        "A file of names and bcrypt hashes, as `subproxy password` writes it: only who knows the "
        "password of one of them is let in; others get 401.",
        '"/etc/subproxy/users"',
    ),
    SiteKey(
        "auth",
        "string",
        values.auth_url,
        {"type": "string", "pattern": "^http://[^/]"},
        "A service that says who is let in, by a status: 2xx; its 401, 403 and 3xx are the "
        "client's answer; all else is 503.",
        '"http://127.0.0.1:4181/auth"',
    ),
    SiteKey(
        "auth-timeout",
        "number, 0.1 to 60; seconds",
        values.number(0.1, 60.0),
        {"type": "number", "minimum": 0.1, "maximum": 60},
        "Seconds for its whole answer.",
        "2",
        default="5",
        needs="auth",
    ),
    SiteKey(
        "auth-headers",
        "string or array of names",
        values.auth_headers,
        STRINGS,
        "Fields of its answer that an application gets. What clients send by these names is "
        "dropped.",
        '["X-Auth-Request-User"]',
        needs="auth",
    ),
    SiteKey(
        "auth-cache",
        "number, 0 to 3600; seconds",
        values.number(0.0, 3600.0),
        {"type": "number", "minimum": 0, "maximum": 3600},
        "Seconds for which it is not asked the same again, where it let in; less if it says so "
        "by Cache-Control.",
        "10",
        default="0",
        needs="auth",
    ),
    SiteKey(
        "upgrade",
        'array of protocols, or `"any"`',
        values.upgrade,
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
        values.origins,
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
        values.headers(True),
        _HEADERS,
        "Fields of requests that are removed, then set, then added, before a guest sees them.",
        '{ set = { X-Environment = "production" }, remove = ["X-Debug"] }',
        rule="request_headers",
    ),
    SiteKey(
        "response-headers",
        "table of `set`, `add`, `remove`",
        values.headers(False),
        _HEADERS,
        "The same of responses, before a client sees them; not of the proxy's own error pages.",
        '{ set = { X-Frame-Options = "DENY" }, remove = ["Server"] }',
        rule="response_headers",
    ),
    SiteKey(
        "strip-prefix",
        "string",
        values.prefix,
        {"type": "string", "pattern": "^(/.*)?$"},
        'What is cut off the path before a guest sees it; it is in X-Forwarded-Prefix then. "" '
        "lifts it.",
        '"/blog"',
        rule="strip_prefix",
    ),
    SiteKey(
        "host",
        "string",
        values.host,
        {"type": "string"},
        'What guests see as Host; X-Forwarded-Host has what was asked for. "" lifts it.',
        '"blog.internal"',
        rule="host",
    ),
    SiteKey(
        "https",
        "`true`, `false` or a port",
        values.https_port,
        _any_of({"type": "boolean"}, {"type": "integer", "minimum": 1, "maximum": 65535}),
        "Who comes by http is sent on to https with 308: to port 443, or to that one. Challenges "
        "of certificate authorities are let pass. false lifts it.",
        "true",
        rule="https",
    ),
    SiteKey(
        "hsts",
        "seconds, table of `max-age`, `include-subdomains` and `preload`, or `false`",
        values.hsts,
        _any_of(
            {"const": False},
            {"type": "integer", "minimum": 0, "maximum": MAX_AGE},
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "max-age": {"type": "integer", "minimum": 0, "maximum": MAX_AGE},
                    "include-subdomains": {"type": "boolean"},
                    "preload": {"type": "boolean"},
                },
                "required": ["max-age"],
            },
        ),
        "For how long browsers that came by https are to come by nothing else "
        "(Strict-Transport-Security). 0 takes it back; false says nothing.",
        "31536000",
        rule="hsts",
    ),
    SiteKey(
        "redirect",
        "string",
        values.redirect_target,
        {"type": "string"},
        "Where all requests are sent on to: a URL with {uri}, {path}, {host} or {scheme} in it. "
        '"" lifts it.',
        '"https://www.blog.example{uri}"',
        rule="redirect",
    ),
    SiteKey(
        "redirect-status",
        ", ".join(map(str, STATUSES)),
        values.redirect_status,
        {"enum": list(STATUSES)},
        "With which status.",
        "308",
        default="`307`",
        needs="redirect",
    ),
    SiteKey(
        "sticky",
        '`"cookie"`, table of `cookie` and `same-site`, table of `header`, or `false`',
        values.sticky,
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
    SiteKey(
        "wake",
        "`true`, `false` or array of methods",
        values.wake,
        _any_of({"type": "boolean"}, {"type": "array", "items": STRING, "minItems": 1}),
        "Which requests may start a [machine](configuration.md#machine); others get 503 while it "
        "is down. true lifts it.",
        '["GET", "POST"]',
        rule="wake",
        default="`true`",
    ),
    SiteKey(
        "starting-page",
        "`true` or `false`",
        values.wanted,
        {"type": "boolean"},
        "A browser that goes to a page while its machine starts gets one that says so, with 503, "
        "and asks again by itself; all others wait. false lifts it.",
        "true",
        rule="starting_page",
        default="`false`",
    ),
    SiteKey(
        "server-timing",
        "`true` or `false`",
        values.wanted,
        {"type": "boolean"},
        "Answers of guests tell in Server-Timing how long the request waited, for a machine too, "
        "and how long the guest took. false lifts it.",
        "true",
        rule="server_timing",
        default="`false`",
    ),
)
"""Every key, in the order of the reference."""

BY_NAME: Final[Mapping[str, SiteKey]] = {each.name: each for each in KEYS}
