"""The command line of C{subproxy-mkinitramfs}."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from guest.image import prune
from guest.image.arguments import NAMES, PROGRAM_NAMES

PROGRAM = "subproxy-mkinitramfs"
DISTRIBUTION = "subscription-proxy-vsock"

USAGE = """%(prog)s [options] -o IMAGE [APP]
       %(prog)s [options] -o IMAGE --wsgi|--asgi APP
       %(prog)s [options] -o IMAGE --container FILE [--tag NAME] [-- ARGUMENT...]
       %(prog)s [options] -o IMAGE --root DIR --to ADDRESS -- PROGRAM [ARGUMENT...]"""

EXAMPLES = r"""
examples:
  subproxy-mkinitramfs blog.py -o blog.img --host='blog\.example'
  subproxy-mkinitramfs shop:Shop --requirements requirements.txt -o shop.img
  subproxy-mkinitramfs --minimal app.py -o small.img
  subproxy-mkinitramfs --asgi api:app --requirements requirements.txt -o api.img
  subproxy-mkinitramfs --wsgi .:shop.wsgi:application --requirements requirements.txt -o shop.img
  subproxy-mkinitramfs --container shop.tar --host='shop\.example' -o shop.img
  subproxy-mkinitramfs --root tree --to http://127.0.0.1:3000 -o node.img -- node /srv/server.js
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """
    Parse a command line; C{command} is what follows C{--}, None without it.

    @raise SystemExit: with status 2, after one clear line on stderr; or 0 after C{--help}.
    """
    own, command = list(arguments), None
    if "--" in own:
        where = own.index("--")
        own, command = own[:where], own[where + 1 :]
    parser = make_parser()
    options = parser.parse_args(own)
    options.command = command
    _check(parser, options)
    return options


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse options that don't go together."""
    program = options.container or options.root
    if options.container and options.root:
        parser.error("--container or --root, not both")
    if program:
        if options.app is not None:
            parser.error(f"{options.app}: an application, or a program in --container or --root")
        for name in ("minimal", "wsgi", "asgi", "with_proxy", "websocket"):
            if getattr(options, name):
                parser.error(f"--{name.replace('_', '-')} is for an application")
        for name in ("requirements", "keep"):
            if getattr(options, name):
                parser.error(f"--{name} is for an application")
        if options.python:
            parser.error("--python is for an application")
    else:
        for name in ("tag", "to", "subproxy_guest"):
            if getattr(options, name):
                parser.error(f"--{name.replace('_', '-')} is for --container or --root")
        if options.command is not None:
            parser.error("-- and a program are for --container or --root")
        if (options.wsgi or options.asgi) and options.app is None:
            parser.error("which application? module:app, FILE.py:app or FOLDER:module:app")
        if options.measure and options.app is None:
            parser.error("--measure boots it: which application?")
    if options.websocket and not options.asgi:
        parser.error("--websocket is for --asgi")
    if options.tag and not options.container:
        parser.error("--tag is for --container")


def make_parser() -> argparse.ArgumentParser:
    """All options, with their help."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=USAGE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Build an initramfs: an application that subscribes, or a program that speaks "
        "HTTP, with all that it needs, and the kernel modules of vsock. Needs neither root nor a "
        "virtual machine, but Debian's apt and zstd.",
        epilog=_epilog(),
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=_release())
    add = parser.add_argument
    add(
        "app", nargs="?", metavar="APP", help="module:Class, FILE.py[:Class] or FOLDER:module:Class"
    )
    add("-o", "--output", type=Path, required=True, help="the image; the kernel goes beside it")
    add("-q", "--quiet", action="store_true", help="don't tell what goes on")
    _add_application(parser)
    _add_program(parser)
    _add_boot(parser)
    _add_building(parser)
    return parser


def _add_application(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("an application in Python")
    add = group.add_mutually_exclusive_group().add_argument
    add("--wsgi", action="store_true", help="APP is a WSGI application: no Twisted")
    add("--asgi", action="store_true", help="APP is an ASGI application: no Twisted")
    add("--minimal", action="store_true", help="only guest/minimal.py, no Twisted")
    add = group.add_argument
    add("--websocket", action="store_true", help="with --asgi: WebSockets too (wsproto)")
    add(
        "--requirements",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="what pip is to put in: a requirements file (may repeat)",
    )
    add("--python", metavar="X.Y", help="a Python of Debian's; else the release's own")
    add(
        "--keep",
        action="append",
        default=[],
        choices=sorted(prune.GROUPS),
        metavar="GROUP",
        help=f"don't leave out: {', '.join(prune.GROUPS)}",
    )
    add("--with-proxy", action="store_true", help="put the proxy itself in (to test it there)")


def _add_program(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a program that speaks HTTP, without Python")
    add = group.add_argument
    add(
        "--container",
        type=Path,
        metavar="FILE",
        help="a container image: what docker save writes, or an OCI layout, as a tar or a folder",
    )
    add("--tag", metavar="NAME", help="which of several container images in FILE")
    add("--root", type=Path, metavar="DIR", help="a folder that becomes the machine's root")
    add(
        "--to",
        metavar="ADDRESS",
        help="where the program listens: http://HOST:PORT or unix:PATH (default: the one port that "
        "the container image exposes)",
    )
    add(
        "--subproxy-guest",
        type=Path,
        metavar="FILE",
        help="the init: subproxy-guest in Go, static (default: that of this package, or built)",
    )


def _add_boot(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("what it does when it boots").add_argument
    add("--host", action="append", metavar="RE", help="register this host pattern (may repeat)")
    add("--path", action="append", metavar="RE", help="register this path pattern (may repeat)")
    add("--proxy", action="append", metavar="ENDPOINT", help="where the proxy is: vsock:2:12345")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="build in a setting")


def _add_building(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("how it is built").add_argument
    add("--kernel", help="an image, or an installed version; else Debian's cloud kernel")
    add(
        "--file",
        action="append",
        default=[],
        type=read_file,
        metavar="PATH=FILE",
        help="put a further file in",
    )
    add(
        "--epoch",
        type=int,
        default=os.environ.get("SOURCE_DATE_EPOCH") or "0",
        metavar="SECONDS",
        help="the date of every file that has none of its own (SOURCE_DATE_EPOCH, or 1970)",
    )
    add(
        "--level",
        type=int,
        default=9,
        choices=range(20),
        metavar="0..19",
        help="how hard zstd packs (9); 19 is a tenth smaller and takes twenty times as long; 0: "
        "not packed, thrice as large, and sooner unpacked",
    )
    add("--list", action="store_true", help="list what is in the image")
    add(
        "--measure",
        action="store_true",
        help="boot it three times, and tell where the time goes: wants QEMU, vhost-device-vsock",
    )
    add("--cache", type=Path, default=default_cache(), help="where packages are kept")


def _epilog() -> str:
    width = max(map(len, (*NAMES, *PROGRAM_NAMES))) + len("subproxy.=...")

    def table(names: dict[str, str]) -> str:
        return "\n".join(f"  {f'subproxy.{name}=...':{width}}  {names[name]}" for name in names)

    return (
        EXAMPLES.lstrip("\n")
        + f"\nkernel arguments, with an application:\n{table(dict(NAMES))}\n"
        + f"\nkernel arguments, with a program:\n{table(dict(PROGRAM_NAMES))}\n"
        + "\nIn a value %XX is a byte (a blank is %20, % is %25); all else stands for itself."
    )


def _release() -> str:
    try:
        return f"{PROGRAM} {version(DISTRIBUTION)} ({DISTRIBUTION})"
    except PackageNotFoundError:
        return f"{PROGRAM}, a copy that was not installed"


def read_file(word: str) -> tuple[str, bytes]:
    """C{PATH=FILE}: a path in the image, and what is there."""
    path, equals, name = word.partition("=")
    if not (path.strip("/") and equals and name):
        raise argparse.ArgumentTypeError(f"{word} is not PATH=FILE")
    try:
        return path.lstrip("/"), Path(name).read_bytes()
    except OSError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def default_cache() -> Path:
    """Where packages are kept if nothing else is said."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "subproxy" / "images"
