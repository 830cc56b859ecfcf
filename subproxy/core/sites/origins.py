"""Which pages may open WebSockets: a browser lets all of them, so the server is to refuse."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from subproxy.core.http.request import RequestHead
from subproxy.core.http.upgrade import WEBSOCKET

SAME: Final = "same"
"""The host that is asked, whatever its scheme."""

_ORIGIN: Final = re.compile(r"(https?)://(\*\.)?([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_PORTS: Final = {"http": ":80", "https": ":443"}


class OriginError(ValueError):
    """What is no origin (RFC 6454)."""


class Origins:
    """
    Origins of pages, as C{Origin} names them.

    Who sends no C{Origin} is no browser, and has nobody's cookies but its own: it passes.

    @param names: C{https://blog.example}, perhaps with a port; C{https://*.blog.example} for all
        below; L{SAME}.
    @raise OriginError: one of them is none.
    @ivar names: the same.
    """

    __slots__ = ("_below", "_exact", "_same", "names")

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._same = SAME in self.names
        self._exact: set[bytes] = set()
        self._below: list[tuple[bytes, bytes]] = []
        for name in self.names:
            if name == SAME:
                continue
            found = _ORIGIN.fullmatch(name.lower())
            if found is None:
                raise OriginError(
                    f"{name!r} is no origin, such as https://blog.example; there is {SAME!r}, too"
                )
            scheme, below, host, port = found.groups()
            rest = host + ("" if port in (None, _PORTS[scheme]) else port)
            if below:
                self._below.append((f"{scheme}://".encode(), f".{rest}".encode()))
            else:
                self._exact.add(f"{scheme}://{rest}".encode())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origins) and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)

    def allow(self, request: RequestHead) -> bool:
        """Whether C{request} asks for no WebSocket, or a page that may have one asks for it."""
        if request.upgrade is None or WEBSOCKET not in request.upgrade.protocols:
            return True
        told = [value.lower() for name, value in request.headers if name.lower() == b"origin"]
        return all(self._allows(each, request) for each in told)

    def _allows(self, origin: bytes, request: RequestHead) -> bool:
        if origin in self._exact:
            return True
        if self._same:
            scheme, _, host = origin.partition(b"://")
            asked = [value for name, value in request.headers if name.lower() == b"host"]
            if scheme in (b"http", b"https") and host and host == b"".join(asked).lower():
                return True
        return any(
            origin.startswith(scheme) and origin.endswith(rest) and _is_label(origin, scheme, rest)
            for scheme, rest in self._below
        )


def _is_label(origin: bytes, scheme: bytes, rest: bytes) -> bool:
    """Whether what stands between is a name, and nothing that could be read otherwise."""
    between = origin[len(scheme) : len(origin) - len(rest)]
    return bool(re.fullmatch(rb"[a-z0-9_-]+(\.[a-z0-9_-]+)*", between))
