r"""How a guest is configured: words on the command line of its kernel.

A guest has no network and no other channel, so each setting is one word
C{subproxy.NAME=VALUE} among the kernel's own:

    subproxy.app=hello:Hello subproxy.host=api\.example\.com subproxy.path=/v[12]/.*

Words are parted by blanks. A value is taken as it stands, backslashes included, but
for C{%}: two hexadecimal digits after it name one byte, as in a URL. A blank is
thus C{%20}, a quotation mark C{%22} (the kernel gives meaning to a bare one) and
C{%} itself C{%25}. Every other C{%} is refused rather than guessed at.

A name may repeat (C{host}, C{path}, C{env}, C{arg}). What the kernel is given
takes the place of what the image was built with, name by name; of the environment,
variable by variable.

Standard library only, and sans-I/O: this module runs in the guest as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

PREFIX = "subproxy."
COMMAND_LINE_LIMIT = 2047
"""Bytes of a command line that Linux keeps on x86-64; what is beyond is cut off silently."""

NAMES: Mapping[str, str] = {
    "app": "the application: module:Class, or a path to a .py file",
    "proxy": "where the proxy listens: vsock:CID:PORT",
    "host": "a pattern of hosts to register (may repeat)",
    "path": "a pattern of paths to register (may repeat)",
    "arg": "one more argument for the guest service (may repeat)",
    "env": "NAME=VALUE in the application's environment (may repeat)",
    "grace": "seconds from SIGTERM to SIGKILL when the machine is told to power off",
    "end": "what follows when the application ends: poweroff, reboot (Firecracker) or halt",
    "service": "what serves: guest (Twisted), asgi, wsgi, or minimal (the standard library alone)",
    "run": "exec a command (may repeat, one word each) in place of the guest service",
}
"""What a machine with Python knows."""

PROGRAM_NAMES: Mapping[str, str] = {
    "proxy": NAMES["proxy"],
    "to": "where the program listens: http://HOST:PORT or unix:PATH",
    "host": NAMES["host"],
    "path": NAMES["path"],
    "arg": "one more option of subproxy-guest, such as --ready=/healthz (may repeat)",
    "env": "NAME=VALUE in the program's environment (may repeat)",
    "run": "the program, a word each (may repeat)",
    "folder": "where the program runs",
    "user": "who it runs as: UID:GID, and further groups behind commas",
    "root": "the folder that is the machine's root",
    "end": "what follows when the program ends: poweroff, reboot (Firecracker) or halt",
}
"""What a machine with a program knows (guests/go/internal/machine/settings.go)."""

REPEATABLE = frozenset({"host", "path", "arg", "env", "run"})

_BLANKS = str.maketrans("\t\n\v\f\r", "     ")
_DIGITS = frozenset("0123456789abcdefABCDEF")
_SAFE = frozenset(b"!#$&'()*+,-./:;<=>?@[\\]^_`{|}~") | frozenset(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)


class ArgumentError(ValueError):
    """A kernel argument that this guest can't follow."""


Settings = dict[str, list[str]]
"""The values of each name, in the order given."""


def parse(command_line: str) -> Settings:
    """The C{subproxy.} words of a kernel command line; every other word is passed over.

    Raises C{ArgumentError} for an unknown name, one given twice that may not repeat,
    and a broken escape.
    """
    settings: Settings = {}
    for word in command_line.translate(_BLANKS).split(" "):
        if not word.startswith(PREFIX):
            continue
        name, equals, value = word[len(PREFIX) :].partition("=")
        if not equals or name not in NAMES:
            raise ArgumentError(f"unknown kernel argument {word!r}; known: {', '.join(NAMES)}")
        if name in settings and name not in REPEATABLE:
            raise ArgumentError(f"kernel argument {PREFIX}{name} is given twice")
        settings.setdefault(name, []).append(_decode(value))
    return settings


def render(settings: Mapping[str, Iterable[str]], names: Iterable[str] = NAMES) -> str:
    """The words that C{parse}, or a machine that knows C{names}, reads as C{settings}.

    Raises C{ArgumentError} for an unknown name.
    """
    names = tuple(names)
    for name in settings:
        if name not in names:
            raise ArgumentError(f"unknown setting {name!r}; known: {', '.join(names)}")
    return " ".join(
        f"{PREFIX}{name}={_encode(value)}" for name in names for value in settings.get(name, ())
    )


def merge(built_in: Mapping[str, list[str]], given: Mapping[str, list[str]]) -> Settings:
    """C{built_in} with what was C{given} in its place, name by name.

    Of the environment both stand there: the last value of each variable is what counts.
    """
    merged = {name: list(values) for name, values in {**built_in, **given}.items()}
    if "env" in built_in and "env" in given:
        merged["env"] = [*built_in["env"], *given["env"]]
    return merged


def routes(settings: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    """The host and path patterns to register, pair by pair.

    The first host belongs to the first path, and so on; a single one belongs to each
    of the others, and without any it is everything. Raises C{ArgumentError} for
    numbers that don't go together.
    """
    hosts = settings.get("host") or [".*"]
    paths = settings.get("path") or ["/.*"]
    if len(hosts) == 1:
        hosts = hosts * len(paths)
    if len(paths) == 1:
        paths = paths * len(hosts)
    if len(hosts) != len(paths):
        raise ArgumentError(f"{len(hosts)} hosts for {len(paths)} paths: give one, or as many")
    return list(zip(hosts, paths, strict=True))


def check_length(command_line: str) -> str:
    """The command line itself, if the kernel keeps it whole; else C{ArgumentError}."""
    size = len(command_line.encode())
    if size > COMMAND_LINE_LIMIT:
        raise ArgumentError(
            f"a kernel command line of {size} bytes: Linux keeps {COMMAND_LINE_LIMIT}; "
            "build the routes into the image with --host and --path instead"
        )
    return command_line


def _encode(value: str) -> str:
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in value.encode())


def _decode(value: str) -> str:
    first, *others = value.split("%")
    raw = bytearray(first.encode(errors="surrogateescape"))
    for each in others:
        if len(each) < 2 or not _DIGITS.issuperset(each[:2]):
            raise ArgumentError(f"a % in {value!r} without two hexadecimal digits: write %25")
        raw.append(int(each[:2], 16))
        raw += each[2:].encode(errors="surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise ArgumentError(f"not UTF-8: {value!r}") from error
