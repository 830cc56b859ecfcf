"""C{subproxy machines}: how machines are, what they are told, and what they have printed."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from subproxy.cli import tables
from subproxy.cli.client import AdminClient, AdminError
from subproxy.core.printable import printable

VERBS = {
    "start": "start it at once",
    "stop": "drain it and end it, until the next request",
    "restart": "both",
    "snapshot": "have a snapshot of it made, now (experimental)",
    "logs": "what it has printed on its console",
}
"""What a machine can be told; the last one asks."""

CHANGES = {
    "add": "make one, which is kept over restarts",
    "change": "let one that was made so be as a file says",
}
"""What makes another of what is declared."""

DONE = {
    "add": "is declared",
    "change": "is declared anew; what runs by something else is replaced",
    "remove": "is drained, told to end, and no longer declared",
    "start": "starts, unless it is up",
    "stop": "is drained, then told to end; a request starts it again",
    "restart": "is drained, told to end, and starts again",
    "snapshot": "is drained and frozen, after a start if it is not up; starts go on from that",
    "drop": "has no snapshot any more; it boots next",
}

FIRST_LOG = 16_384
"""Bytes of a console that are shown first."""

FOLLOW_INTERVAL = 0.5
"""Seconds between looks for more of it."""


def add_machines(commands: Any) -> None:
    """Its command line."""
    machines = commands.add_parser("machines", help="machines on demand: how they are")
    verbs = machines.add_subparsers(dest="verb")
    verbs.add_parser("list", help="how they are; the default")
    for name, what in VERBS.items():
        verb = verbs.add_parser(name, help=what)
        verb.add_argument("machine", help="its name")
        if name == "snapshot":
            verb.add_argument("--drop", action="store_true", help="remove the one that there is")
    logs = verb
    for name, what in CHANGES.items():
        verb = verbs.add_parser(name, help=what)
        verb.add_argument("file", help="a TOML file with one [[machine]]; '-' is standard input")
    verbs.add_parser("remove", help="it is no longer declared").add_argument("machine")
    logs.add_argument("--instance", default="", help="whose (default: of one that runs)")
    logs.add_argument("--follow", "-f", action="store_true", help="go on, until Ctrl-C")


def machines(
    options: argparse.Namespace,
    client: AdminClient,
    show: Callable[[Any, Callable[[Any], str]], None],
) -> None:
    """List machines, tell one to start or stop, or print what one has printed."""
    if options.verb in (None, "list"):
        show(client.ask("/api/machines"), tables.machines)
        return
    if options.verb in CHANGES:
        name, body = _table(options.file)
        path = "/api/machines" if options.verb == "add" else f"/api/machines/{quote(name, safe='')}"
        _show_done(options.verb, client.ask(path, "POST", body), show)
        return
    path = f"/api/machines/{quote(options.machine, safe='')}"
    if options.verb == "remove":
        _show_done(options.verb, client.ask(path, "DELETE"), show)
        return
    if options.verb == "snapshot" and options.drop:
        _show_done("drop", client.ask(f"{path}/snapshot", "DELETE"), show)
        return
    if options.verb != "logs":
        _show_done(options.verb, client.ask(f"{path}/{options.verb}", "POST"), show)
        return
    _logs(f"{path}/console", client, options.instance, follow=options.follow)


def _show_done(verb: str, data: Any, show: Callable[[Any, Callable[[Any], str]], None]) -> None:
    show(data, lambda data: f"{data['machine']}: {DONE[verb]}")


def _table(path: str) -> tuple[str, bytes]:
    """
    The name of the machine in a file, and all of its table in JSON.

    @raise AdminError: there is none.
    """
    # A tenth of the start, and seldom needed.
    from subproxy.core.access.toml_lines import load_toml

    try:
        if path == "-":
            text, folder = sys.stdin.read(), os.getcwd()
        else:
            text, folder = Path(path).read_text("utf-8"), os.path.dirname(os.path.abspath(path))
        document = load_toml(text)
    except OSError as error:
        raise AdminError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise AdminError(f"{path}: {error}") from None
    tables = document.get("machine")
    table = tables[0] if isinstance(tables, list) and len(tables) == 1 else None
    if list(document) != ["machine"] or not isinstance(table, dict):
        raise AdminError(f"{path}: it has to be one [[machine]], and nothing else")
    for key in ("kernel", "initramfs", "disk"):
        if isinstance(table.get(key), str):
            table[key] = os.path.normpath(os.path.join(folder, table[key]))
    try:
        return str(table.get("name", "")), json.dumps(table).encode()
    except TypeError as error:
        raise AdminError(f"{path}: {error}") from None


def _logs(path: str, client: AdminClient, instance: str, *, follow: bool) -> None:
    """Print a console; with C{follow} what comes, over rotations and starts, without end."""
    place = {"instance": instance, "from": str(-FIRST_LOG)}
    while True:
        found = client.ask(path, "GET", None, **place)
        if found["lost"]:
            print("some of it was written too fast, and is lost", file=sys.stderr)
        # A serial console ends its lines with a carriage return, too.
        text = found["text"].replace("\r", "")
        sys.stdout.write("\n".join(map(printable, text.split("\n"))))
        sys.stdout.flush()
        if not follow:
            return
        place = {"instance": str(found["index"]), "from": str(found["next"])}
        place["part"] = "whole"
        if not found["more"]:
            time.sleep(FOLLOW_INTERVAL)
