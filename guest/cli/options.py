"""The command line of C{python -m guest}."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from guest.cli.interface import INTERFACES
from guest.cli.sidecar_options import (
    SidecarOptions,
    add_sidecar_options,
    sidecar_options,
    split_command,
)
from guest.core.route import Route
from subproxy.wire.limits import MAX_NAME, MAX_PATTERN, MAX_WEIGHT, PORT
from subproxy.wire.values import value_class

DEFAULT_PROXY = f"vsock:2:{PORT}"
LOOPS = ("auto", "asyncio", "uvloop")
TLS_NAMES = ("sni", "alpn", "cert")
LEVELS = ("debug", "info", "warn", "error", "critical")

SCRIPT = "subproxy-guest"
"""C{python -m guest}, by the name that the wheel installs."""

DISTRIBUTION = "subscription-proxy-vsock"

EPILOG = """\
examples:
  python -m guest --host='blog\\.example' blog:Blog
  python -m guest --host='shop\\.example' --threads=16 shop.wsgi:application
  python -m guest --host='api\\.example' 'api:create_app()'
  python -m guest --proxy=unix:/run/vms/vm.sock_12345 \\
      --host='shop\\.example' --path='/v[12]/.*' --concurrency=10 shop:Shop
  python -m guest --host='blog\\.example' --to=http://127.0.0.1:3000 -- node server.js

exit statuses:
  0  drained and left, after SIGTERM or SIGINT
  1  something unexpected
  2  bad usage
  3  the application cannot be imported
  4  the proxy refused the subscription or a route
  5  replaced by another instance of this application
  6  no free worker number
With a program behind -- it is the program's status, once that is not started again: 128 and the
number of the signal that ended it; 126 or 127 if it can't be executed, or is not there.
"""


@value_class
class GuestOptions:
    """
    The options of C{python -m guest}, parsed.

    @ivar worker: None: the first that is free.
    """

    target: str
    proxy: str
    routes: tuple[Route, ...]
    concurrency: int
    weight: int | None
    name: str
    worker: int | None
    log_level: str
    keep_going: bool
    drain_timeout: float
    interface: str = "auto"
    root_path: str = ""
    threads: int = 8
    hung: float = 30.0
    loop: str = "auto"
    reload: bool = False
    sidecar: SidecarOptions | None = None
    tls: tuple[bytes, ...] = ()
    passthrough: bool = False


def parse(arguments: Sequence[str]) -> GuestOptions:
    """
    Parse a command line.

    @raise SystemExit: with status 2, after one clear line on stderr; or 0 after C{--help}.
    """
    parser = _parser()
    own, command = split_command(arguments)
    found = parser.parse_args(own)
    sidecar = sidecar_options(parser, found, command)
    if sidecar is not None and found.tls:
        parser.error("--tls: a program that speaks HTTP cannot be told")
    if sidecar is None and found.target is None:
        parser.error("what is to be served? module:attr, or --to and a program")
    routes: list[Route] = []
    for kind, pattern in found.patterns or []:
        size = len(pattern.encode())
        if not 1 <= size <= MAX_PATTERN:
            parser.error(f"--{kind}: a pattern has 1 to {MAX_PATTERN} bytes")
        if kind == "host":
            routes.append(Route(pattern.encode(), b"", found.passthrough))
        elif found.passthrough:
            parser.error(f"--path={pattern}: with --passthrough a host has all its paths")
        elif routes and not routes[-1].path:
            routes[-1] = Route(routes[-1].host, pattern.encode())
        else:
            parser.error(f"--path={pattern}: which --host is it for? Give that one before it")
    target = found.target or str(sidecar and sidecar.address)
    name = found.name or target
    if len(name.encode()) > MAX_NAME:
        parser.error(f"--name: at most {MAX_NAME} bytes")
    return GuestOptions(
        target=target,
        sidecar=sidecar,
        proxy=found.proxy,
        routes=tuple(
            route if route.path else Route(route.host, passthrough=found.passthrough)
            for route in routes
        ),
        concurrency=found.concurrency,
        tls=found.tls,
        passthrough=found.passthrough,
        weight=found.weight,
        name=name,
        worker=found.worker,
        log_level=found.log_level,
        keep_going=found.keep_going,
        drain_timeout=found.drain_timeout,
        interface=found.interface,
        root_path=found.root_path,
        threads=found.threads,
        hung=found.hung,
        loop=found.loop,
        reload=found.reload,
    )


class _Pattern(argparse.Action):
    """Keeps C{--host} and C{--path} in the order in which they came."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        pairs = list(namespace.patterns or [])
        pairs.append(((option_string or "").lstrip("-"), values))
        namespace.patterns = pairs


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_program(),
        usage="%(prog)s [--proxy=ENDPOINT] [--host=RE [--path=RE]]... [options] module:attr\n"
        "       %(prog)s ... --to=ADDRESS [-- PROGRAM [ARGUMENT]...]",
        description="Run an application that subscribes to a subproxy and answers its requests.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="tell the version")
    parser.add_argument(
        "target",
        nargs="?",
        metavar="module:attr",
        help="a WSGI or ASGI application, or module:function() that makes one; or a "
        "SubscriberProtocol subclass or a SubscriberFactory",
    )
    add = parser.add_argument_group("the application").add_argument
    add(
        "--interface",
        choices=INTERFACES,
        default="auto",
        help="what it is, where that can't be seen (default: %(default)s)",
    )
    add(
        "--root-path",
        type=_root_path,
        default="",
        metavar="PATH",
        help="where it is mounted: SCRIPT_NAME, or root_path (WSGI and ASGI)",
    )
    add(
        "--threads",
        type=_number(1, 1024),
        default=8,
        metavar="N",
        help="how many requests are answered at a time (WSGI; default: %(default)s)",
    )
    add(
        "--hung",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="when all threads have been busy for so long, take nothing new until one is free "
        "(WSGI; default: %(default)g)",
    )
    add(
        "--loop",
        choices=LOOPS,
        default="auto",
        help="the event loop (WSGI and ASGI; default: uvloop where it is installed)",
    )
    add(
        "--reload",
        action="store_true",
        help="start again when a Python file below the current folder changes: for development",
    )
    add_sidecar_options(parser, _seconds)
    add = parser.add_argument_group("what is served, and where").add_argument
    add(
        "--proxy",
        metavar="ENDPOINT",
        default=DEFAULT_PROXY,
        help="where the proxy is: vsock:CID:PORT, unix:PATH, tcp:HOST:PORT; with a "
        "SubscriberProtocol any Twisted client endpoint (default: %(default)s)",
    )
    add(
        "--host",
        dest="patterns",
        action=_Pattern,
        metavar="RE",
        help="serve hosts that match, an RE2 pattern of the whole host; may repeat",
    )
    add(
        "--path",
        dest="patterns",
        action=_Pattern,
        metavar="RE",
        help="paths that match, for the --host before it (default: /.*)",
    )
    add(
        "--tls",
        type=_tls_names,
        default=(),
        metavar="NAMES",
        help="what requests tell of the TLS of clients: sni, alpn, cert, or several with commas",
    )
    add(
        "--passthrough",
        action="store_true",
        help="have the TLS of clients as it is: the program or the SubscriberProtocol has the keys",
    )
    add = parser.add_argument_group("how much").add_argument
    add(
        "--weight",
        type=_number(1, MAX_WEIGHT),
        metavar="N",
        help="how much of the requests, relative to others with the same route (default: 100)",
    )
    add(
        "--concurrency",
        type=_number(0, 2**31),
        default=0,
        metavar="N",
        help="at most so many requests at a time (default: 0, no limit)",
    )
    add = parser.add_argument_group("who this is").add_argument
    add("--name", metavar="NAME", help="name of the application (default: module:attr)")
    add(
        "--worker",
        type=_number(0, 2**31),
        metavar="N",
        help="which of several equal processes in this VM this is (default: first free)",
    )
    add = parser.add_argument_group("the process").add_argument
    add("--log-level", choices=LEVELS, default="info", help="(default: %(default)s)")
    add(
        "--keep-going",
        action="store_true",
        help="stay when the proxy refuses a route, and retry when it refuses us",
    )
    add(
        "--drain-timeout",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long requests under way may take at the end (default: %(default)g)",
    )
    return parser


class _Version(argparse.Action):
    """Tells the version; who doesn't ask does not wait for it to be found out."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        print(_release())
        parser.exit()


def _program() -> str:
    """By which of its two names it was called."""
    name = os.path.basename(sys.argv[0])
    return name if name == SCRIPT else "python -m guest"


def _release() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"subproxy guest {version(DISTRIBUTION)} ({DISTRIBUTION})"
    except PackageNotFoundError:
        return "subproxy guest, a copy that was not installed"


def _root_path(text: str) -> str:
    if text and not text.startswith("/"):
        raise argparse.ArgumentTypeError(f"{text} does not begin with /")
    return text.rstrip("/")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 86400")
    return value


def _tls_names(text: str) -> tuple[bytes, ...]:
    names = tuple(each.strip() for each in text.split(","))
    unknown = [each for each in names if each not in TLS_NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(TLS_NAMES)}")
    return tuple(each.encode("ascii") for each in dict.fromkeys(names))


def _number(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low} to {high}")
        return value

    return number
