"""The options of a program that speaks HTTP: C{--to}, and what goes with it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from guest.sidecar.address import ProgramAddress, parse_program_address
from guest.sidecar.restart import RestartMode
from guest.sidecar.upgrades import TLS, WEBSOCKET, parse_upgrade
from subproxy.wire.limits import MAX_TUNNELS
from subproxy.wire.values import value_class

UPGRADE_TIMEOUT = 10.0
"""Seconds that the answer to an upgrade may take, where nothing else is asked."""

_OF_APPLICATIONS = ("interface", "root_path", "threads", "hung", "reload")

_TARGET = b"!#$%&'()*+,-./:;=?@[]^_`{|}~"


@value_class
class SidecarOptions:
    """
    What is asked, and how it is run.

    @ivar address: where it listens.
    @ivar command: the program and its arguments; empty: somebody else runs it.
    @ivar ready: the target that answers when it is ready; None: to listen is enough.
    @ivar host: C{Host} in the place of the client's; None: the client's.
    @ivar upgrades: the protocols to which clients may change, as C{Upgrade} names them.
    @ivar upgrade_timeout: how many seconds it may take to answer an upgrade.
    @ivar restart: after which ends it is started again.
    @ivar grace: how many seconds it has to end when it was asked to.
    """

    address: ProgramAddress
    command: tuple[str, ...]
    ready: str | None
    host: bytes | None
    upgrades: tuple[bytes, ...]
    upgrade_timeout: float
    restart: RestartMode
    grace: float

    @property
    def name(self) -> str:
        """The program, for people."""
        shown = " ".join(self.command) or f"the program at {self.address}"
        return shown if len(shown) <= 60 else f"{shown[:57]}..."


def add_sidecar_options(parser: argparse.ArgumentParser, seconds: Callable[[str], float]) -> None:
    """
    Add them to a parser.

    @param seconds: reads a duration.
    """
    add = parser.add_argument_group(
        "a program that speaks HTTP, in the place of module:attr"
    ).add_argument
    add(
        "--to",
        type=_address,
        metavar="ADDRESS",
        help="pass requests on to http://HOST:PORT or unix:PATH; what follows -- is the program "
        "that listens there, and is started",
    )
    add(
        "--ready",
        type=_path,
        metavar="PATH",
        help="serve when GET PATH answers 200 to 399 (default: when it takes connections)",
    )
    add(
        "--host-header",
        type=_host,
        metavar="HOST",
        help="the Host that it sees, where it refuses others (default: the client's)",
    )
    add(
        "--upgrade",
        type=_upgrade,
        action="append",
        metavar="PROTOCOL",
        help="what clients may change to, beside websocket, as Upgrade names it; may repeat",
    )
    add(
        "--upgrade-timeout",
        type=seconds,
        metavar="SECONDS",
        help="how long it may take to answer an upgrade, such as to WebSocket (default: 10)",
    )
    add(
        "--restart",
        type=_mode,
        metavar="WHEN",
        help="start it again when it has ended: always, on-failure, never (default: always)",
    )
    add(
        "--stop-timeout",
        type=seconds,
        metavar="SECONDS",
        help="how long it may take to end before it is killed (default: 10)",
    )


def split_command(arguments: Sequence[str]) -> tuple[Sequence[str], tuple[str, ...] | None]:
    """Our own arguments, and the command that follows C{--}; None if there is no C{--}."""
    if "--" not in arguments:
        return arguments, None
    where = list(arguments).index("--")
    return arguments[:where], tuple(arguments[where + 1 :])


def sidecar_options(
    parser: argparse.ArgumentParser,
    found: argparse.Namespace,
    command: tuple[str, ...] | None,
) -> SidecarOptions | None:
    """
    What was asked for; None: C{--to} was not.

    @raise SystemExit: options that do not go together.
    """
    others = {
        "--ready": found.ready,
        "--host-header": found.host_header,
        "--upgrade": found.upgrade,
        "--upgrade-timeout": found.upgrade_timeout,
        "--restart": found.restart,
        "--stop-timeout": found.stop_timeout,
    }
    if found.to is None:
        if command is not None:
            parser.error("-- and a program want --to=http://127.0.0.1:PORT: where it listens")
        for name, value in others.items():
            if value is not None:
                parser.error(f"{name} wants --to")
        return None
    if found.target is not None:
        parser.error(f"{found.target} or --to, not both; the program to start stands behind --")
    for name in _OF_APPLICATIONS:
        if getattr(found, name) != parser.get_default(name):
            parser.error(f"--{name.replace('_', '-')} is for module:attr, not for --to")
    if command == ():
        parser.error("what is to be started? A program follows --")
    if command is None and (found.restart or found.stop_timeout is not None):
        parser.error("--restart and --stop-timeout are for a program that follows --")
    upgrades = tuple(dict.fromkeys([WEBSOCKET, *(found.upgrade or [])]))
    if found.passthrough:
        for name in ("--ready", "--host-header", "--upgrade", "--upgrade-timeout"):
            if others[name] is not None:
                parser.error(f"{name} is for a program that speaks HTTP, not for --passthrough")
        upgrades = (TLS,)
    if len(upgrades) > MAX_TUNNELS:
        parser.error(f"--upgrade: at most {MAX_TUNNELS} protocols, websocket among them")
    return SidecarOptions(
        address=found.to,
        command=command or (),
        ready=found.ready,
        host=found.host_header,
        upgrades=upgrades,
        upgrade_timeout=(
            UPGRADE_TIMEOUT if found.upgrade_timeout is None else found.upgrade_timeout
        ),
        restart=found.restart or RestartMode.ALWAYS,
        grace=10.0 if found.stop_timeout is None else found.stop_timeout,
    )


def _address(text: str) -> ProgramAddress:
    try:
        return parse_program_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None


def _path(text: str) -> str:
    if not text.startswith("/") or not all(c.isalnum() or c.encode() in _TARGET for c in text):
        raise argparse.ArgumentTypeError(f"{text} is no path, such as /healthz")
    if not text.isascii() or "#" in text:
        raise argparse.ArgumentTypeError(f"{text}: escape what is not ASCII, and leave out #")
    return text


def _host(text: str) -> bytes:
    if not text or not text.isascii() or not all(c.isalnum() or c in "-._~:[]" for c in text):
        raise argparse.ArgumentTypeError(f"{text!r} is no host, such as localhost:5173")
    return text.encode()


def _upgrade(text: str) -> bytes:
    try:
        return parse_upgrade(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _mode(text: str) -> RestartMode:
    try:
        return RestartMode(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: always, on-failure or never") from None
