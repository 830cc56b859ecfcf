"""The command line of C{twistd subproxy}: what was asked for, checked as far as words can be."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from twisted.copyright import version as twisted_version
from twisted.python import usage

from subproxy.config.bare_port import is_bare
from subproxy.config.help_text import DISTRIBUTION, EXAMPLE, Group, options_text, release
from subproxy.core.balancing.balancer import BALANCERS
from subproxy.core.http.forwarded import Trust
from subproxy.frontend import limits as http_limits
from subproxy.frontend.half_close import HalfClose
from subproxy.frontend.proxy_protocol.protocol import is_proxied
from subproxy.process.startup import fail
from subproxy.subscription.settings import BULK
from subproxy.wire.limits import MAX_NUMBER, PORT

_MAGIC = re.compile(r"[*?[]")
_ENDPOINT = re.compile(r"[A-Za-z][A-Za-z0-9_-]*:")
_HALF_CLOSE = [each.value for each in HalfClose]
DEFAULT_FOLDER = "/run/subproxy/*.sock"
DEFAULT_HTTP = "8080"
TWISTD_PIDFILE = "twistd.pid"
"""What twistd writes into the current folder if nobody says otherwise."""

UNITS = {"seconds": "SECONDS", "bytes": "BYTES", "bytes a second": "BYTES/S"}

GROUPS: Sequence[Group] = (
    (
        "Listeners",
        (
            ("http", "PORT|ENDPOINT"),
            ("vsock", "PATH|GLOB|..."),
            ("vsock-port", "PORT"),
            ("vsock-mode", "MODE"),
            ("vsock-owner", "USER"),
            ("vsock-group", "GROUP"),
            ("admin", "PATH|ENDPOINT"),
            ("admin-token", "FILE"),
            ("admin-host", "NAME"),
        ),
    ),
    (
        "Guests",
        (
            ("policy", "FILE"),
            ("balance", "HOW"),
            ("ping-interval", "SECONDS"),
            ("ping-timeout", "SECONDS"),
            ("guest-timeout", "SECONDS"),
            ("hold", "SECONDS"),
            ("queue-timeout", "SECONDS"),
            ("queue", "N"),
            ("queue-total", "N"),
            ("bulk", "BYTES"),
        ),
    ),
    (
        "Clients",
        (
            ("trust", "NETWORK"),
            ("proxy-protocol", "NETWORK"),
            ("half-close", "HOW"),
            ("access-log", "FILE"),
            ("access-log-format", "FORMAT"),
        ),
    ),
    (
        "Limits of HTTP",
        tuple((row.option, UNITS.get(row.unit, "N")) for row in http_limits.TABLE),
    ),
    (
        "The process",
        (
            ("shutdown-timeout", "SECONDS"),
            ("spin", "MICROSECONDS"),
            ("no-fastpath", ""),
            ("version", ""),
            ("help", ""),
        ),
    ),
)
"""The options as C{--help} has them."""


class VsockListen:
    """
    One C{--vsock}.

    @ivar kind: C{"endpoint"}, C{"path"} or C{"glob"}.
    @ivar value: the endpoint string, path or pattern.
    @ivar optional: it is a default, not a demand.
    """

    def __init__(self, kind: str, value: str, optional: bool = False) -> None:
        self.kind = kind
        self.value = value
        self.optional = optional

    def __repr__(self) -> str:
        return f"<VsockListen {self.kind} {self.value}>"


def is_path(value: str) -> bool:
    """Whether a listener was given as a path, and not as an endpoint."""
    return value.startswith("/") or not _ENDPOINT.match(value)


def parse_http(value: str) -> str:
    """
    What C{--http} asks for: a bare port (see L{subproxy.config.bare_port}), or an endpoint
    string.
    """
    if is_bare(value):
        if int(value) > 65535:
            raise usage.UsageError(f"--http={value}: a port is at most 65535")
        return value
    if not _ENDPOINT.match(value):
        raise usage.UsageError(f"--http={value}: neither a port nor an endpoint such as tcp:8888")
    return value


def parse_vsock(value: str) -> VsockListen:
    """What a C{--vsock} asks for: a port, an endpoint, a path or a pattern."""
    if is_bare(value):
        if int(value) > 0xFFFFFFFE:
            raise usage.UsageError(f"--vsock={value}: a vsock port has 32 bits")
        return VsockListen("endpoint", f"vsock:{value}")
    if not is_path(value):
        return VsockListen("endpoint", value)
    folder, name = os.path.split(value)
    if _MAGIC.search(folder):
        raise usage.UsageError(f"--vsock={value}: only the last part of a path may be a pattern")
    if _MAGIC.search(name):
        return VsockListen("glob", value)
    if not name:
        raise usage.UsageError(
            f"--vsock={value}: the path of a VM's socket, or a pattern, is needed"
        )
    return VsockListen("path", value)


def _number(option: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise usage.UsageError(f"--{option}={text}: a number from {low:g} to {high:g} is needed")
    return value


class Options(usage.Options):
    """
    The options.

    Bad ones end the program with one clear line on standard error and status 1.
    """

    synopsis = "[--http=PORT|ENDPOINT]... [--vsock=PATH|GLOB|PORT|ENDPOINT]... [options]"
    longdesc = (
        "Applications in virtual machines dial the vsock listeners and register the hosts and "
        "paths that they serve; HTTP requests go to them."
    )

    optParameters = [
        ["vsock-port", None, str(PORT), "The vsock port that guests dial."],
        ["vsock-mode", None, "660", "Mode of emulated vsock sockets, octal."],
        ["vsock-owner", None, None, "Owner of emulated vsock sockets: the VMM's user."],
        ["vsock-group", None, None, "Group of emulated vsock sockets."],
        ["policy", None, None, "Which guest may claim what: a TOML file, read again on SIGHUP."],
        ["admin", None, None, "Metrics, health and API there: a path (mode 600) or an endpoint."],
        ["admin-token", None, None, "File of the token that the admin listener wants over TCP."],
        ["balance", None, "p2c-ewma", f"Who gets a request: {', '.join(BALANCERS)}."],
        ["ping-interval", None, "3", "Seconds between the pings of a subscriber."],
        ["ping-timeout", None, "5", "Seconds after which a subscriber without pong is ejected."],
        ["guest-timeout", None, "15", "Seconds of silence after which a subscriber is given up."],
        ["queue", None, "100", "Requests of one route that may wait for a subscriber."],
        ["queue-total", None, "1000", "Requests that may wait in all."],
        ["queue-timeout", None, "10", "Seconds that requests wait while all subscribers are busy."],
        ["hold", None, "3", "Seconds that requests wait for a route that nobody serves just now."],
        ["bulk", None, str(BULK), "Bytes from which a body has a data connection; 0: none has."],
        ["spin", None, "0", "Microseconds to look for events before sleeping (io_uring only)."],
        ["shutdown-timeout", None, "30", "Seconds that SIGTERM leaves for what is in flight."],
        ["half-close", None, "auto", f"What a client's FIN means: {', '.join(_HALF_CLOSE)}."],
        ["access-log", None, "-", "The access log: a file, - for standard output, or none."],
        ["access-log-format", None, "combined", "combined or json."],
        *(
            [row.option, None, str(row.default).removesuffix(".0"), f"{row.help.capitalize()}."]
            for row in http_limits.TABLE
        ),
    ]
    optFlags = [
        ["no-fastpath", None, "Serve every request by the Python path."],
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self["http"] = []
        self["vsock"] = []
        self["trust"] = []
        self["proxy-protocol"] = []
        self["admin-host"] = []

    def opt_http(self, value: str) -> None:
        """
        Serve HTTP there: a port, or a Twisted server endpoint such as
        tcp:8888:interface=192.0.2.1. A bare port is of this machine alone, unless there is a
        --policy. May repeat (default: 8080).
        """
        self["http"].append(parse_http(value))

    def opt_vsock(self, value: str) -> None:
        """
        Guests dial in there: the path of a VM's vsock socket, a pattern such as
        /run/vms/*.sock, a native vsock port, or an endpoint. May repeat (default: native
        12345 where there is /dev/vsock, and /run/subproxy/*.sock).
        """
        self["vsock"].append(parse_vsock(value))

    def opt_trust(self, value: str) -> None:
        """
        Believe X-Forwarded-* and the like of clients in this network, such as 10.0.0.0/8, or
        unix for clients on UNIX sockets. May repeat.
        """
        self["trust"].append(value)

    def opt_proxy_protocol(self, value: str) -> None:
        """
        Peers in this network, such as 10.0.0.0/8, or unix, may say by the PROXY protocol who
        their clients are, on listeners such as --http=haproxy:tcp:8888. May repeat. Default:
        loopback, unix, and the networks of --trust.
        """
        self["proxy-protocol"].append(value)

    def opt_admin_host(self, value: str) -> None:
        """
        A name by which the admin listener is called over TCP, beside localhost and the address
        that is dialled. May repeat.
        """
        self["admin-host"].append(value)

    def parseOptions(self, options: Any = None) -> None:
        """Parse, check, and complain in one line."""
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except usage.UsageError as error:
            fail(f"{error} (twistd subproxy --help tells the options)")

    def getUsage(self, width: int | None = None) -> str:
        """The options in groups, with an example."""
        width = width or int(os.environ.get("COLUMNS", "80"))
        about = textwrap.fill(self.longdesc, width)
        options = options_text(GROUPS, self.docs, self.defaults, width)
        return f"{about}\n\n{EXAMPLE}\n{options}"

    def opt_version(self) -> None:
        """Tell the versions of subproxy and Twisted."""
        print(f"subproxy {release()} ({DISTRIBUTION}), Twisted {twisted_version}")
        raise SystemExit(0)

    def opt_help(self) -> None:
        """Print this."""
        print(self)
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Checks that need more than one option."""
        self._no_pidfile_by_surprise()
        port = int(_number("vsock-port", self["vsock-port"], 0, 0xFFFFFFFE))
        self["vsock-port"] = port
        try:
            self["vsock-mode"] = int(self["vsock-mode"], 8)
        except ValueError:
            raise usage.UsageError(f"--vsock-mode={self['vsock-mode']}: not octal") from None
        if self["balance"] not in BALANCERS:
            raise usage.UsageError(f"--balance={self['balance']}: one of {', '.join(BALANCERS)}")
        if self["admin"] is not None and is_bare(self["admin"]):
            raise usage.UsageError(
                f"--admin={self['admin']}: a path is needed, or an endpoint such as "
                f"tcp:{self['admin']}:interface=127.0.0.1"
            )
        for option in ("queue", "queue-total"):
            self[option] = int(_number(option, self[option], 0, 1e6))
        for option in ("queue-timeout", "hold", "shutdown-timeout"):
            self[option] = _number(option, self[option], 0.0, 86400.0)
        self["bulk"] = int(_number("bulk", self["bulk"], 0, MAX_NUMBER))
        self["spin"] = _number("spin", self["spin"], 0.0, 1000.0)
        for option in ("ping-interval", "ping-timeout", "guest-timeout"):
            self[option] = _number(option, self[option], 0.05, 86400.0)
        if self["half-close"] not in _HALF_CLOSE:
            raise usage.UsageError(
                f"--half-close={self['half-close']}: one of {', '.join(_HALF_CLOSE)}"
            )
        if self["access-log-format"] not in ("combined", "json"):
            raise usage.UsageError(
                f"--access-log-format={self['access-log-format']}: combined or json"
            )
        for row in http_limits.TABLE:
            try:
                self[row.option] = http_limits.parse(row, str(self[row.option]))
            except ValueError:
                raise usage.UsageError(
                    f"--{row.option}={self[row.option]}: a number of {row.unit} is needed"
                ) from None
        try:
            Trust(self["trust"])
        except ValueError as error:
            raise usage.UsageError(f"--trust: {error}") from None
        try:
            Trust(self["proxy-protocol"])
        except ValueError as error:
            raise usage.UsageError(f"--proxy-protocol: {error}") from None
        if not self["http"]:
            self["http"].append(DEFAULT_HTTP)
        if self["proxy-protocol"] and not any(map(is_proxied, self["http"])):
            raise usage.UsageError(
                "--proxy-protocol: no listener expects it; say --http=haproxy:tcp:PORT"
            )
        if not self["vsock"]:
            if os.path.exists("/dev/vsock"):
                self["vsock"].append(VsockListen("endpoint", f"vsock:{port}", optional=True))
            self["vsock"].append(VsockListen("glob", DEFAULT_FOLDER, optional=True))

    def _no_pidfile_by_surprise(self) -> None:
        """
        In the foreground twistd writes a pid file only if one is asked for.

        Else it would lie in whatever folder is the current one, and keep a second proxy from
        being started there.
        """
        twistd: Any = getattr(self, "parent", None)
        if twistd is None or not (twistd.get("nodaemon") or twistd.get("debug")):
            return
        if twistd.get("pidfile") == TWISTD_PIDFILE and not asks_for_pidfile(sys.argv):
            twistd["pidfile"] = ""


def asks_for_pidfile(command_line: Sequence[str]) -> bool:
    """Whether C{--pidfile} is among the options of twistd itself; it may be cut to C{--pi}."""
    end = command_line.index("subproxy") if "subproxy" in command_line else len(command_line)
    return any(
        word.startswith("--pi") and "--pidfile".startswith(word.partition("=")[0])
        for word in command_line[:end]
    )
