"""
The C{subproxy} command.

Exit statuses: 0 it worked, 1 it did not (with one line why), 2 the command line is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from subproxy.admin.token import default_files
from subproxy.cli import tables
from subproxy.cli.client import AdminClient, AdminError
from subproxy.cli.link import add_link
from subproxy.cli.machines import add_machines, machines
from subproxy.cli.password import add_password, password
from subproxy.config.help_text import DISTRIBUTION, release
from subproxy.core.printable import printable

DEFAULT_ADMIN = "/run/subproxy/admin.sock"
COMPLETIONS = {"bash": "completion/subproxy.bash", "zsh": "completion/_subproxy"}
"""By shell, what C{python -m tools.completions} has made of L{parser}."""
EPILOG = """\
examples:
  subproxy routes
  subproxy --admin=/tmp/admin.sock explain http://blog.example/news
  subproxy check /etc/subproxy/subproxy.toml
The proxy itself is subproxy run (see subproxy run --help), or twistd subproxy.
"""


class _ShowVersion(argparse.Action):
    """Prints the version, which takes as long to find as to ask a proxy."""

    def __call__(self, parser: argparse.ArgumentParser, *args: object, **named: object) -> None:
        parser.exit(message=f"subproxy {release()} ({DISTRIBUTION})\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="subproxy",
        description="Run a proxy, ask a running one, or write and check its configuration.",
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
    commands.add_parser("run", add_help=False, help="the proxy itself, in the foreground")
    commands.add_parser("routes", help="what is served, in the order of precedence")
    commands.add_parser("subscribers", help="who serves it")
    commands.add_parser("certificates", help="what is shown over TLS, and for how long")
    commands.add_parser("hosts", help="other hosts of the cluster, and whether they are reached")
    explain = commands.add_parser(
        "explain", help="which route wins for a URL, and why; or where a request went"
    )
    explain.add_argument("url", help="such as http://blog.example/news, or a request id or trace")
    for name, what in (("drain", "give a subscriber nothing new"), ("undrain", "use it again")):
        command = commands.add_parser(name, help=what)
        command.add_argument("subscriber", help="IDENTITY[/APPLICATION[/WORKER]]")
    weight = commands.add_parser("weight", help="how much of the requests a subscriber gets")
    weight.add_argument("subscriber", help="IDENTITY[/APPLICATION[/WORKER]]")
    weight.add_argument("weight", nargs="?", help="1 to 1000, 100 is usual; none: what it asks for")
    top = commands.add_parser("top", help="who serves what, live; keys sort it")
    top.add_argument("--interval", type=_seconds, default=2.0, help="seconds (%(default)s)")
    top.add_argument("--count", type=int, default=0, help="how often; 0: until Ctrl-C")
    top.add_argument("--routes", action="store_true", help="routes instead of subscribers")
    top.add_argument("--sort", metavar="COLUMN", help="as its head has it, such as 'in flight'")
    logs = commands.add_parser("logs", help="the access log, filtered")
    logs.add_argument("--follow", "-f", action="store_true", help="and what is written from now on")
    logs.add_argument("--lines", "-n", type=int, default=10, help="of those that are there (10)")
    logs.add_argument("--host", default="", help="requests for this host")
    logs.add_argument(
        "--status", default="", help="with this status: 404, 5xx, or several: 404,5xx"
    )
    logs.add_argument("--guest", default="", help="answered by a VM whose identity has this in it")
    _is_file(logs.add_argument("file", nargs="?", help="default: what the proxy writes; -: stdin"))
    add_machines(commands)
    add_link(commands, _is_file)
    add_password(commands, _is_file)
    commands.add_parser("reload", help="read the configuration file and the policy again")
    check = commands.add_parser("check", help="check a configuration file or a policy")
    check.add_argument("--print", action="store_true", help="what is in force then, and why")
    _is_file(check.add_argument("file", help="a file in TOML"))
    init = commands.add_parser("init", help="write a configuration file, with comments")
    _is_file(init.add_argument("file", nargs="?", help="where (default: standard output)"))
    completion = commands.add_parser("completion", help="a script that completes this command")
    completion.add_argument("shell", choices=[*COMPLETIONS])
    return found


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 86400")
    return value


def _is_file(action: argparse.Action) -> None:
    """The shells complete names of files there: as C{shtab.FILE} has it."""
    action.complete = {  # type: ignore[attr-defined]
        "bash": "_shtab_compgen_files",
        "zsh": "_files",
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    try:
        status = _command(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Who reads it, such as head, has enough. Python would try again at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


def _command(arguments: Sequence[str] | None) -> int:
    found = parser()
    options = found.parse_args(arguments)
    if options.command == "run":
        # It stands where subproxy.__main__ sees it, or is not meant for the proxy.
        found.error("run is the first word, and its options follow it: subproxy run --http=8080")
    if options.command == "check":
        # Half a second: it knows all that can be set.
        from subproxy.cli.check import check, check_as_json

        return (check_as_json if options.json else check)(options.file, options.print)
    if options.command == "init":
        return init(options.file, options.json)
    if options.command == "completion":
        text = (Path(__file__).parent / COMPLETIONS[options.shell]).read_text()
        print(json.dumps({"script": text}) if options.json else text, end="")
        return 0
    try:
        if options.command == "link":
            return make_link(options)
        if options.command == "password":
            done = password(options)
            print(json.dumps({"done": done}) if options.json else printable(done))
            return 0
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


def make_link(options: argparse.Namespace) -> int:
    """Make a link, or change what signs them: with the file of keys alone, no proxy is asked."""
    from subproxy.cli.link import link

    done = link(options, datetime.now(timezone.utc))
    print(
        json.dumps(done.data) if options.json else "\n".join(map(printable, done.text.split("\n")))
    )
    return 0


def init(path: str | None, as_json: bool = False) -> int:
    """Write a configuration file with comments; one that is there stays as it is."""
    from subproxy.config.toml_text import commented_file  # as long to import as L{check}

    if path is None:
        text = commented_file()
        print(json.dumps({"text": text}) if as_json else text, end="")
        return 0
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(commented_file())
    except FileExistsError:
        print(f"subproxy: {path}: it is there already, and stays as it is", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"subproxy: {path}: {error.strerror}", file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps({"written": path}))
    else:
        print(f"{path}: written; check it with: subproxy check {path}")
    return 0


def run(options: argparse.Namespace, client: AdminClient) -> None:
    """Ask, and print."""

    def show(data: Any, render: Callable[[Any], str]) -> None:
        try:
            text = json.dumps(data, indent=1) if options.json else render(data)
        except (AttributeError, KeyError, TypeError):
            raise AdminError(client.not_understood) from None
        print("\n".join(map(printable, text.split("\n"))), flush=True)

    match options.command:
        case "routes":
            show(client.ask("/api/routes"), tables.routes)
        case "subscribers":
            show(client.ask("/api/subscribers"), tables.subscribers)
        case "certificates":
            show(client.ask("/api/certificates"), tables.certificates)
        case "hosts":
            show(client.ask("/api/hosts"), tables.hosts)
        case "explain":
            show(client.ask("/api/explain", url=options.url), tables.explanation)
        case "drain" | "undrain":
            name = quote(options.subscriber, safe="/:")
            method = "POST" if options.command == "drain" else "DELETE"
            verb = f"{options.command}ed"
            data = client.ask(f"/api/drain/{name}", method)
            show(data, lambda data: tables.drained(data, verb))
        case "weight":
            path = f"/api/weight/{quote(options.subscriber, safe='/:')}"
            if options.weight is None:
                data = client.ask(path, "DELETE")
            else:
                data = client.ask(path, "POST", weight=options.weight)
            verb = f"weight {options.weight or 'as it asks for'}:"
            text = f"{verb} {printable(options.subscriber)}, when it comes back"
            show(data, lambda data: tables.drained(data, verb) or text)
        case "reload":
            show(client.ask("/api/reload", "POST"), tables.reloaded)
        case "machines":
            machines(options, client, show)
        case "top":
            from subproxy.cli.top import VIEWS, TopView, top

            try:
                view = TopView(VIEWS[options.routes], options.sort)
            except ValueError:
                columns = ", ".join(TopView(VIEWS[options.routes]).columns)
                raise AdminError(f"--sort={options.sort}: there are {columns}") from None
            look = partial(client.ask, "/api/overview")
            top(look, view, options.interval, options.count, options.json)
        case "logs":
            show_logs(options, client)


def show_logs(options: argparse.Namespace, client: AdminClient) -> None:
    """Print what is wanted of the access log: of a file, or of where the proxy writes it."""
    from subproxy.cli.log_lines import LogFilter, statuses
    from subproxy.cli.logs import logs

    try:
        wanted = tuple(statuses(options.status)) if options.status else ()
    except ValueError as error:
        raise AdminError(f"--status: {error}") from None
    path = options.file
    if path is None:
        path = client.ask("/api/log")["path"]
        if path == "-":
            hint = "subproxy logs -, with what it prints as standard input"
            raise AdminError(f"the proxy writes its access log to standard output: {hint}")
    logs(
        path,
        LogFilter(options.host, wanted, options.guest),
        last=max(0, options.lines),
        follow=options.follow,
        as_json=options.json,
        out=sys.stdout,
    )
