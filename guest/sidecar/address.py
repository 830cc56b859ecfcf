"""Where a program listens: what C{--to} says."""

from __future__ import annotations

from dataclasses import dataclass

UNIX_LENGTH = 107
"""Bytes of the longest path of a UNIX socket."""


@dataclass(frozen=True, slots=True)
class ProgramAddress:
    """
    A TCP port, or a UNIX socket.

    @ivar host: a name or an address, without brackets; empty for a UNIX socket.
    @ivar port: 0 for a UNIX socket.
    @ivar path: of a UNIX socket; it begins with NUL for an abstract one. Else empty.
    """

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return "unix:" + self.path.replace("\0", "@", 1)
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def authority(self) -> bytes:
        """What a client of its own would say in C{Host}."""
        if self.path:
            return b"localhost"
        text = str(self)
        return text.removesuffix(":80").encode()


def parse_program_address(text: str) -> ProgramAddress:
    """
    The address that C{text} names: C{http://HOST[:PORT]}, C{HOST:PORT}, or C{unix:PATH}.

    @raise ValueError: it names none; the reason is for a person.
    """
    if text.startswith("unix:"):
        return _unix(text[5:])
    scheme, slashes, rest = text.partition("://")
    if not slashes:
        rest = text
    elif scheme.lower() != "http":
        raise ValueError(f"the program is asked by plain http://, not by {scheme}://")
    from urllib.parse import urlsplit  # who starts no program does not wait for it

    try:
        url = urlsplit(f"//{rest}")
        host, port = url.hostname or "", url.port
    except ValueError:
        raise ValueError("the port is a number up to 65535, and IPv6 stands in brackets") from None
    if url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError("an address has no path: requests keep their own")
    if url.username is not None:
        raise ValueError("an address has no user")
    if port is None and not slashes:
        raise ValueError("that is not http://HOST:PORT or unix:PATH, such as http://127.0.0.1:3000")
    if not host or port == 0 or not host.isascii() or any(char.isspace() for char in host):
        raise ValueError("an address has a host, and a port other than 0")
    return ProgramAddress(host, port or 80)


def _unix(path: str) -> ProgramAddress:
    path = path.removeprefix("//")
    if path.startswith("@"):
        path = "\0" + path[1:]
    if not 1 <= len(path.encode()) <= UNIX_LENGTH or path == "\0" or "\0" in path[1:]:
        raise ValueError(f"the path of a UNIX socket has 1 to {UNIX_LENGTH} bytes")
    return ProgramAddress("", 0, path)
