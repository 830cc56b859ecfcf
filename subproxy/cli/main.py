"""
The C{subproxy} command.

Exit statuses: 0 it worked, 1 it did not (with one line why), 2 the command line is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from subproxy.admin.token import default_files
from subproxy.cli import tables
from subproxy.cli.client import AdminClient, AdminError
from subproxy.config.help_text import DISTRIBUTION, release
from subproxy.core.printable import printable

DEFAULT_ADMIN = "/run/subproxy/admin.sock"
CLEAR = "\x1b[H\x1b[2J"
EPILOG = """\
examples:
  subproxy routes
  subproxy --admin=/tmp/admin.sock explain http://blog.example/news
  subproxy check /etc/subproxy/subproxy.toml
The proxy itself is twistd subproxy (see twistd subproxy --help).
"""


class _ShowVersion(argparse.Action):
    """Prints the version, which takes as long to find as to ask a proxy."""

    def __call__(self, parser: argparse.ArgumentParser, *args: object, **named: object) -> None:
        parser.exit(message=f"subproxy {release()} ({DISTRIBUTION})\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="subproxy",
        description="Ask a running proxy, or write and check its configuration.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument(
        "--version", action=_ShowVersion, nargs=0, help="show program's version number and exit"
    )
    found.add_argument(
        "--admin", default=DEFAULT_ADMIN, help="the admin socket, or HOST:PORT (%(default)s)"
    )
    found.add_argument(
        "--admin-token",
        metavar="FILE",
        help="the token that HOST:PORT wants (default: where the proxy makes one)",
    )
    found.add_argument("--json", action="store_true", help="print what the proxy says, as JSON")
    commands = found.add_subparsers(dest="command", required=True)
    commands.add_parser("routes", help="what is served, in the order of precedence")
    commands.add_parser("subscribers", help="who serves it")
    commands.add_parser("certificates", help="what is shown over TLS, and for how long")
    explain = commands.add_parser("explain", help="which route wins for a URL, and why")
    explain.add_argument("url", help="such as http://blog.example/news")
    for name, what in (("drain", "give a subscriber nothing new"), ("undrain", "use it again")):
        command = commands.add_parser(name, help=what)
        command.add_argument("subscriber", help="IDENTITY[/APPLICATION[/WORKER]]")
    top = commands.add_parser("top", help="subscribers, again and again")
    top.add_argument("--interval", type=float, default=2.0, help="seconds (%(default)s)")
    top.add_argument("--count", type=int, default=0, help="how often; 0: until Ctrl-C")
    commands.add_parser("reload", help="read the configuration file and the policy again")
    check = commands.add_parser("check", help="check a configuration file or a policy")
    check.add_argument("--print", action="store_true", help="what is in force then, and why")
    check.add_argument("file", help="a file in TOML")
    init = commands.add_parser("init", help="write a configuration file, with comments")
    init.add_argument("file", nargs="?", help="where (default: standard output)")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    options = parser().parse_args(arguments)
    if options.command == "check":
        from subproxy.cli.check import check  # half a second: it knows all that can be set

        return check(options.file, options.print)
    if options.command == "init":
        return init(options.file)
    try:
        files = default_files(os.geteuid(), os.environ)
        if options.admin_token is not None:
            files = [options.admin_token]
        run(options, AdminClient(options.admin, files))
    except AdminError as error:
        for line in error.lines:
            print(f"subproxy: {printable(line)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def init(path: str | None) -> int:
    """Write a configuration file with comments; one that is there stays as it is."""
    from subproxy.config.toml_text import commented_file  # as long to import as L{check}

    if path is None:
        print(commented_file(), end="")
        return 0
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(commented_file())
    except OSError as error:
        print(f"subproxy: {path}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{path}: written; check it with: subproxy check {path}")
    return 0


def run(options: argparse.Namespace, client: AdminClient) -> None:
    """Ask, and print."""

    def show(data: Any, render: Callable[[Any], str]) -> None:
        text = json.dumps(data, indent=1) if options.json else render(data)
        print("\n".join(map(printable, text.split("\n"))), flush=True)

    match options.command:
        case "routes":
            show(client.ask("/api/routes"), tables.routes)
        case "subscribers":
            show(client.ask("/api/subscribers"), tables.subscribers)
        case "certificates":
            show(client.ask("/api/certificates"), tables.certificates)
        case "explain":
            show(client.ask("/api/explain", url=options.url), tables.explanation)
        case "drain" | "undrain":
            name = quote(options.subscriber, safe="/:")
            method = "POST" if options.command == "drain" else "DELETE"
            verb = f"{options.command}ed"
            data = client.ask(f"/api/drain/{name}", method)
            show(data, lambda data: tables.drained(data, verb))
        case "reload":
            show(client.ask("/api/reload", "POST"), tables.reloaded)
        case "top":
            top(options, client, show)


def top(
    options: argparse.Namespace,
    client: AdminClient,
    show: Callable[[Any, Callable[[Any], str]], None],
) -> None:
    """Print the subscribers until it has been done often enough."""
    done = 0
    while True:
        data = client.ask("/api/subscribers")
        if sys.stdout.isatty() and not options.json:
            sys.stdout.write(CLEAR)
        show(data, tables.subscribers)
        done += 1
        if done == options.count:
            return
        time.sleep(options.interval)
