"""C{subproxy machines}: how machines are, what they are told, and what they have printed."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from subproxy.cli import tables
from subproxy.cli.client import AdminClient
from subproxy.core.printable import printable

VERBS = {
    "start": "start it at once",
    "stop": "drain it and end it, until the next request",
    "restart": "both",
    "logs": "what it has printed on its console",
}
"""What a machine can be told; the last one asks."""

DONE = {
    "start": "starts, unless it is up",
    "stop": "is drained, then told to end; a request starts it again",
    "restart": "is drained, told to end, and starts again",
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
    verb.add_argument("--instance", default="", help="whose (default: of one that runs)")
    verb.add_argument("--follow", "-f", action="store_true", help="go on, until Ctrl-C")


def machines(
    options: argparse.Namespace,
    client: AdminClient,
    show: Callable[[Any, Callable[[Any], str]], None],
) -> None:
    """List machines, tell one to start or stop, or print what one has printed."""
    if options.verb in (None, "list"):
        show(client.ask("/api/machines"), tables.machines)
        return
    path = f"/api/machines/{quote(options.machine, safe='')}"
    if options.verb != "logs":
        data = client.ask(f"{path}/{options.verb}", "POST")
        show(data, lambda data: f"{data['machine']}: {DONE[options.verb]}")
        return
    _logs(f"{path}/console", client, options.instance, follow=options.follow)


def _logs(path: str, client: AdminClient, instance: str, *, follow: bool) -> None:
    """Print a console; with C{follow} what comes, over rotations and starts, without end."""
    place = {"instance": instance, "from": str(-FIRST_LOG)}
    while True:
        found = client.ask(path, **place)
        if found["lost"]:
            print("some of it was written too fast, and is lost", file=sys.stderr)
        sys.stdout.write("\n".join(map(printable, found["text"].split("\n"))))
        sys.stdout.flush()
        if not follow:
            return
        place = {"instance": str(found["index"]), "from": str(found["next"])}
        place["part"] = "whole"
        if not found["more"]:
            time.sleep(FOLLOW_INTERVAL)
