"""
Everything that can be set, in one table, from which the command line and C{--help} come.

A row is an attribute of L{Settings}, which is also what the rest of the program reads; the limits
of HTTP are rows of L{subproxy.frontend.limits}, taken in here. To add a setting is to add a row,
and its line in docs/reference/proxy.md, which a test compares; what a reload does with it is a row
of L{subproxy.app.effects}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, TypeVar

from subproxy.config.host_settings import OTHER_HOSTS, HostSettings
from subproxy.config.listen import (
    VsockListen,
    parse_acme,
    parse_admin,
    parse_http,
    parse_https,
    parse_vsock,
)
from subproxy.config.log_settings import CLIENTS, LogSettings
from subproxy.config.machine_settings import MACHINES, MachineSettings
from subproxy.config.setting import (
    WORDS,
    Choice,
    Count,
    Flag,
    HttpLimit,
    Number,
    Octal,
    Processes,
    Setting,
    Text,
)
from subproxy.config.setting_fields import many, maybe, one
from subproxy.core.balancing import outliers
from subproxy.core.balancing.balancer import BALANCERS
from subproxy.core.http.forwarded import Trust
from subproxy.frontend import limits
from subproxy.frontend.half_close import HalfClose
from subproxy.frontend.tls.library import AUTO, LIBRARIES
from subproxy.subscription.settings import BULK, SubscriptionSettings
from subproxy.wire.limits import MAX_NUMBER, PORT
from subproxy.wire.values import mixed_value_class

T = TypeVar("T")

DEFAULT_FOLDER = "/run/subproxy/*.sock"
DEFAULT_HTTP = "8080"
A_DAY = 86400.0

LISTENERS = "Listeners"
TLS = "TLS"
GUESTS = "Guests"
HTTP_LIMITS = "Limits of HTTP"
PROCESS = "The process"
GROUPS = (LISTENERS, TLS, GUESTS, CLIENTS, OTHER_HOSTS, HTTP_LIMITS, PROCESS, MACHINES)
"""The headings of C{--help}, in their order."""

_wire = SubscriptionSettings()
ON, OFF = ON_OFF = ("on", "off")

_half_close = [each.value for each in HalfClose]


def _network(text: str) -> str:
    """@raise ValueError: C{text} is neither a network nor C{unix}."""
    Trust([text])
    return text


@mixed_value_class
class Settings(HostSettings, LogSettings, MachineSettings):
    """
    What an operator has set, and defaults for the rest.

    The order is that of C{--help}. Times are in seconds where the rows say nothing else.
    """

    http: tuple[str, ...] = many(
        Text(parse_http, port=True),
        "Serve HTTP there: a port, or a Twisted server endpoint such as "
        "tcp:8888:interface=192.0.2.1. A bare port is of this machine alone, unless there is a "
        f"--policy. May repeat (default: {DEFAULT_HTTP}, unless there is an --https).",
        LISTENERS,
        "http",
        key="listen",
        word="PORT|ENDPOINT",
        otherwise=DEFAULT_HTTP,
    )
    vsock: tuple[VsockListen, ...] = many(
        Text(parse_vsock, port=True),
        "Guests dial in there: the path of a VM's vsock socket, a pattern such as "
        "/run/vms/*.sock, a native vsock port, or an endpoint. May repeat (default: native "
        f"{PORT} where there is /dev/vsock, and {DEFAULT_FOLDER}).",
        LISTENERS,
        "guests",
        key="listen",
        word="PATH|GLOB|...",
        otherwise="see below",
    )
    vsock_port: int = one(
        Count(0, 0xFFFFFFFE, "port"),
        str(PORT),
        "The vsock port that guests dial.",
        LISTENERS,
        "guests",
        word="PORT",
    )
    vsock_mode: int = one(
        Octal(),
        "660",
        "Mode of emulated vsock sockets, octal.",
        LISTENERS,
        "guests",
        word="MODE",
    )
    vsock_owner: str | None = maybe(
        Text(str),
        "Owner of emulated vsock sockets: the VMM's user.",
        LISTENERS,
        "guests",
        word="USER",
    )
    vsock_group: str | None = maybe(
        Text(str), "Group of emulated vsock sockets.", LISTENERS, "guests", word="GROUP"
    )
    admin: str | None = maybe(
        Text(parse_admin),
        "Metrics, health and API there: a path (mode 600) or an endpoint.",
        LISTENERS,
        "admin",
        key="listen",
        word="PATH|ENDPOINT",
    )
    admin_token: str | None = maybe(
        Text(str),
        "File of the token that the admin listener wants over TCP.",
        LISTENERS,
        "admin",
        key="token",
        word="FILE",
        otherwise="see [below](#the-admin-listener)",
    )
    admin_host: tuple[str, ...] = many(
        Text(str),
        "A name by which the admin listener is called over TCP, beside localhost and the address "
        "that is dialled. May repeat.",
        LISTENERS,
        "admin",
        key="host",
        word="NAME",
    )

    https: tuple[str, ...] = many(
        Text(parse_https, port=True),
        "Serve HTTPS there: a port, or a Twisted server endpoint, as with --http. Wants "
        "--certificates. May repeat.",
        TLS,
        "tls",
        key="listen",
        word="PORT|ENDPOINT",
    )
    certificates: tuple[str, ...] = many(
        Text(str),
        "Certificates and their keys: a folder, or a PEM file, which then is the default. What "
        "changes there is read again. May repeat.",
        TLS,
        "tls",
        word="FOLDER|FILE",
    )
    acme_challenges: tuple[str, ...] = many(
        Text(str),
        "Folder of files that answer /.well-known/acme-challenge/, before any rule or route: the "
        "webroot of certbot and others. May repeat.",
        TLS,
        "tls",
        key="acme-challenges",
        word="FOLDER",
    )
    acme: str | None = maybe(
        Text(parse_acme),
        "Get and renew certificates from the authority with this ACME directory, for hosts that "
        "the policy names and a guest serves. You agree to its terms. Wants --https, and --http on "
        "port 80.",
        TLS,
        "tls",
        word="URL",
    )
    acme_email: str | None = maybe(
        Text(str),
        "Whom that authority writes to.",
        TLS,
        "tls",
        key="acme-email",
        word="ADDRESS",
    )
    acme_folder: str = one(
        Text(str),
        "/var/lib/subproxy/acme",
        "Folder of the account and the certificates, ours alone.",
        TLS,
        "tls",
        key="acme-folder",
        word="FOLDER",
    )
    acme_profile: str | None = maybe(
        Text(str),
        "Profile of certificates, of those that the authority offers.",
        TLS,
        "tls",
        key="acme-profile",
        word="NAME",
    )
    acme_dns_hook: str | None = maybe(
        Text(str),
        "Program that makes and removes records of DNS, so that wildcards can be had: "
        "PROGRAM add|remove NAME VALUE.",
        TLS,
        "tls",
        key="acme-dns-hook",
        word="PROGRAM",
    )
    tls_library: str = one(
        Choice(LIBRARIES),
        AUTO,
        "What does TLS: system (its libssl, by the compiled layer), wheel (that of cryptography, "
        "likewise; Twisted's TLS between hosts), python (its ssl; Twisted's TLS between hosts), or "
        "auto: the first of these that there is.",
        TLS,
        "tls",
        key="library",
        word="WHICH",
    )

    policy: str | None = maybe(
        Text(str),
        "Which guest may claim what: a TOML file, read again on SIGHUP.",
        GUESTS,
        "guests",
        word="FILE",
        reload=True,
    )
    balance: str = one(
        Choice(tuple(BALANCERS)),
        "p2c-ewma",
        f"Who gets a request: {', '.join(BALANCERS)}.",
        GUESTS,
        "guests",
        word="HOW",
        reload=True,
    )
    ping_interval: float = one(
        Number(0.05, A_DAY, "seconds"),
        f"{_wire.ping_interval:g}",
        "Seconds between the pings of a subscriber.",
        GUESTS,
        "guests",
        reload=True,
    )
    ping_timeout: float = one(
        Number(0.05, A_DAY, "seconds"),
        f"{_wire.ping_timeout:g}",
        "Seconds after which a subscriber without pong is ejected.",
        GUESTS,
        "guests",
        reload=True,
    )
    guest_timeout: float = one(
        Number(0.05, A_DAY, "seconds"),
        f"{_wire.timeout:g}",
        "Seconds of silence after which a subscriber is given up.",
        GUESTS,
        "guests",
        key="timeout",
        reload=True,
    )
    hold: float = one(
        Number(0.0, A_DAY, "seconds"),
        "3",
        "Seconds that requests wait for a route that nobody serves just now.",
        GUESTS,
        "guests",
        reload=True,
    )
    queue_timeout: float = one(
        Number(0.0, A_DAY, "seconds"),
        "10",
        "Seconds that requests wait while all subscribers are busy.",
        GUESTS,
        "guests",
        reload=True,
    )
    queue: int = one(
        Count(0, 1_000_000, "requests"),
        "100",
        "Requests of one route that may wait for a subscriber.",
        GUESTS,
        "guests",
        reload=True,
    )
    queue_total: int = one(
        Count(0, 1_000_000, "requests"),
        "1000",
        "Requests that may wait in all.",
        GUESTS,
        "guests",
        reload=True,
    )
    eject_failures: int = one(
        Count(0, 1000, "failures"),
        str(outliers.ROW),
        "Failures in a row after which a subscriber gets nothing for a while, where others of its "
        "routes do well; 0: none is taken out, for whatever share of failures.",
        GUESTS,
        "guests",
        reload=True,
    )
    eject_time: float = one(
        Number(0.1, A_DAY, "seconds"),
        f"{outliers.TIME:g}",
        "Seconds that it gets nothing the first time; each time twice as long.",
        GUESTS,
        "guests",
        reload=True,
    )
    bulk: int = one(
        Count(0, MAX_NUMBER, "bytes"),
        str(BULK),
        "Bytes from which a body has a data connection; 0: none has.",
        GUESTS,
        "guests",
        reload=True,
    )

    trust: tuple[str, ...] = many(
        Text(_network, repeats=True),
        "Believe X-Forwarded-* and the like of clients in this network, such as 10.0.0.0/8, or "
        "unix for clients on UNIX sockets. May repeat.",
        CLIENTS,
        "http",
        word="NETWORK",
        reload=True,
    )
    proxy_protocol: tuple[str, ...] = many(
        Text(_network, repeats=True),
        "Peers in this network, such as 10.0.0.0/8, or unix, may say by the PROXY protocol who "
        "their clients are, on listeners such as --http=haproxy:tcp:8888. May repeat. Default: "
        "loopback, unix, and the networks of --trust.",
        CLIENTS,
        "http",
        word="NETWORK",
        otherwise="loopback, `unix`, `--trust`",
        reload=True,
    )
    http2: str = one(
        Choice(ON_OFF),
        "on",
        "Whether HTTP/2 is spoken: on, off. If it is off, TLS offers HTTP/1.1 alone.",
        CLIENTS,
        "http",
        word="HOW",
    )
    half_close: str = one(
        Choice(_half_close),
        "auto",
        f"What a client's FIN means: {', '.join(_half_close)}.",
        CLIENTS,
        "http",
        word="HOW",
        reload=True,
    )
    http_limits: limits.HttpLimits = field(default_factory=limits.HttpLimits)

    workers: int = one(
        Processes(64),
        "1",
        "Processes that serve, one a core; auto: as many as there are cores. With more than one "
        "the process that was started owns the listeners, and serves nothing itself.",
        PROCESS,
        "workers",
        key="count",
        word="N|auto",
    )
    shutdown_timeout: float = one(
        Number(0.0, A_DAY, "seconds"),
        "30",
        "Seconds that SIGTERM leaves for what is in flight.",
        PROCESS,
        "workers",
        reload=True,
    )
    spin: float = one(
        Number(0.0, 1000.0, "microseconds"),
        "0",
        "Microseconds to look for events before sleeping (io_uring only).",
        PROCESS,
        "workers",
        word="MICROSECONDS",
        reload=True,
    )
    no_fastpath: bool = one(
        Flag(),
        "false",
        "Serve every request by the Python path.",
        PROCESS,
        "workers",
        word="",
    )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """
        The settings of C{values}, by their options, as L{Setting.parse} made them.

        What has several may be a list.
        """
        own: dict[str, Any] = {}
        http: dict[str, Any] = {}
        for each in TABLE:
            value = values[each.option]
            to = http if isinstance(each.kind, HttpLimit) else own
            to[each.name] = tuple(value) if each.repeats else value
        return cls(http_limits=limits.HttpLimits(**http), **own)


def _rows() -> list[Setting]:
    rows: list[Setting] = []
    for each in fields(Settings):
        if each.metadata:
            row = dict(each.metadata)
            row["key"] = row["key"] or each.name.replace("_", "-")
            rows.append(Setting(name=each.name, **row))
        else:
            rows += map(_limit, limits.TABLE)
    return sorted(rows, key=lambda row: GROUPS.index(row.group))


def _limit(row: limits.Row) -> Setting:
    default = str(row.default).removesuffix(".0")
    word = WORDS.get(row.unit, "N")
    help = f"{row.help.capitalize()}."
    return Setting(
        row.name,
        HttpLimit(row),
        default,
        help,
        HTTP_LIMITS,
        "limits",
        row.option,
        word,
        # That one is said to the kernel when a listener begins.
        reload=row.name != "unsent",
    )


TABLE: list[Setting] = _rows()
"""Every setting, in the order of C{--help}."""
