"""Endpoint strings: C{vsock:} and C{hvsock:}, for any Twisted program.

================  ====================================  =========================================
string            server                                client
================  ====================================  =========================================
C{vsock:}        C{vsock:12345}                       C{vsock:2:12345} (CID, port)
options           C{cid}, C{backlog}, C{buffer},     C{timeout}, C{buffer}
                  C{local}
C{hvsock:}       C{hvsock:/tmp/cid10.sock:port=12345}  C{hvsock:/tmp/cid10.sock:port=12345}
options           C{backlog}, C{mode}, C{owner},     C{timeout}
                  C{group}, C{uids}
================  ====================================  =========================================

C{mode} is octal, C{uids} numbers separated by commas, C{buffer} bytes,
C{timeout} seconds, C{local} yes or no (accept the CIDs 0, 1 and 2). What can't
be understood raises C{ValueError} with one line that names the string's part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import (
    IStreamClientEndpoint,
    IStreamClientEndpointStringParserWithReactor,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import IPlugin
from zope.interface import implementer

__all__ = ["HybridVsockParser", "VsockParser"]

_MAX_32 = 0xFFFF_FFFF


@implementer(
    IPlugin, IStreamServerEndpointStringParser, IStreamClientEndpointStringParserWithReactor
)
class VsockParser:
    """C{vsock:PORT} to listen, C{vsock:CID:PORT} to dial, on native C{AF_VSOCK}."""

    prefix = "vsock"

    def parseStreamServer(self, reactor: Any, *args: Any, **kwargs: Any) -> IStreamServerEndpoint:
        """A C{VsockServerEndpoint} for C{PORT[:cid=][:backlog=][:buffer=][:local=]}."""
        from .native import VsockServerEndpoint

        words = _words("vsock:PORT", ("port",), args, kwargs)
        options = _options(
            "vsock",
            words,
            {
                "port": ("port", _number(0, _MAX_32 - 1)),
                "cid": ("cid", _cid),
                "backlog": ("backlog", _number(1, 65535)),
                "buffer": ("bufferSize", _number(1, 1 << 31)),
                "local": ("allowLocal", _yes),
            },
        )
        return VsockServerEndpoint(reactor, **options)

    def parseStreamClient(self, reactor: Any, *args: Any, **kwargs: Any) -> IStreamClientEndpoint:
        """A C{VsockClientEndpoint} for C{CID:PORT[:timeout=][:buffer=]}."""
        from .native import VsockClientEndpoint

        words = _words("vsock:CID:PORT", ("cid", "port"), args, kwargs)
        options = _options(
            "vsock",
            words,
            {
                "cid": ("cid", _number(0, _MAX_32 - 1)),
                "port": ("port", _number(0, _MAX_32 - 1)),
                "timeout": ("timeout", _seconds),
                "buffer": ("bufferSize", _number(1, 1 << 31)),
            },
        )
        return VsockClientEndpoint(reactor, **options)


@implementer(
    IPlugin, IStreamServerEndpointStringParser, IStreamClientEndpointStringParserWithReactor
)
class HybridVsockParser:
    """C{hvsock:PATH:port=PORT}, on the unix sockets of a VMM that emulates vsock."""

    prefix = "hvsock"

    def parseStreamServer(self, reactor: Any, *args: Any, **kwargs: Any) -> IStreamServerEndpoint:
        """A C{HybridVsockServerEndpoint}: what its guest dials as C{PORT} arrives here."""
        from .hybrid import HybridVsockServerEndpoint

        words = _words("hvsock:PATH[:PORT]", ("path", "port"), args, kwargs, required=1)
        options = _options(
            "hvsock",
            words,
            {
                "path": ("path", _path),
                "port": ("port", _number(0, _MAX_32 - 1)),
                "backlog": ("backlog", _number(1, 65535)),
                "mode": ("mode", _mode),
                "owner": ("owner", str),
                "group": ("group", str),
                "uids": ("peerUids", _uids),
            },
        )
        return HybridVsockServerEndpoint(reactor, **options)

    def parseStreamClient(self, reactor: Any, *args: Any, **kwargs: Any) -> IStreamClientEndpoint:
        """A C{HybridVsockClientEndpoint}: asks the VMM for C{PORT} of its guest."""
        from .hybridclient import HybridVsockClientEndpoint

        words = _words("hvsock:PATH[:PORT]", ("path", "port"), args, kwargs, required=1)
        options = _options(
            "hvsock",
            words,
            {
                "path": ("path", _path),
                "port": ("port", _number(0, _MAX_32 - 1)),
                "timeout": ("timeout", _seconds),
            },
        )
        return HybridVsockClientEndpoint(reactor, **options)


def _words(
    usage: str,
    names: tuple[str, ...],
    args: tuple[str, ...],
    kwargs: Mapping[str, str],
    required: int | None = None,
) -> dict[str, str]:
    """Positional arguments under their names, beside the named ones."""
    if len(args) > len(names):
        raise ValueError(f"{usage} was expected: {args[len(names)]!r} is too much")
    words = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name in words:
            raise ValueError(f"{usage} was expected: {name} is given twice")
        words[name] = value
    for name in names[: len(names) if required is None else required]:
        if not words.get(name):
            raise ValueError(f"{usage} was expected: the {name} is missing")
    return words


def _options(
    prefix: str,
    words: Mapping[str, str],
    known: Mapping[str, tuple[str, Callable[[str], object]]],
) -> dict[str, Any]:
    """The constructor's arguments, each read by its own reader."""
    options: dict[str, Any] = {}
    for name, value in words.items():
        if name not in known:
            raise ValueError(f"{prefix}: has no option {name!r}; it has {', '.join(known)}")
        argument, read = known[name]
        try:
            options[argument] = read(value)
        except ValueError as e:
            raise ValueError(f"{prefix}: {name}={value}: {e}") from None
    return options


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not (value.isascii() and value.isdecimal()) or not least <= int(value[:12]) <= most:
            raise ValueError(f"a number from {least} to {most} was expected")
        return int(value)

    return read


def _cid(value: str) -> int:
    named = {"any": _MAX_32, "-1": _MAX_32, "local": 1, "host": 2}.get(value.lower())
    return _number(0, _MAX_32)(value) if named is None else named


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86400:
        raise ValueError("a number of seconds above 0 was expected")
    return seconds


def _yes(value: str) -> bool:
    known = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if value.lower() not in known:
        raise ValueError("yes or no was expected")
    return known[value.lower()]


def _mode(value: str) -> int:
    try:
        mode = int(value, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise ValueError("an octal mode such as 660 was expected")
    return mode


def _uids(value: str) -> frozenset[int]:
    return frozenset(_number(0, _MAX_32 - 1)(word) for word in value.split(","))


def _path(value: str) -> str:
    if any(c in value for c in "*?["):
        raise ValueError("the socket of one VM was expected, not a pattern")
    if "\0" in value:
        raise ValueError("a path in the file system was expected")
    return value
