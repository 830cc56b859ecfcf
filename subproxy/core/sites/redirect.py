"""To where a site sends its clients on: a URL with holes in it."""

from __future__ import annotations

import re
from typing import Final

from subproxy.core.http.fields import TARGET
from subproxy.core.http.request import RequestHead
from subproxy.wire.values import value_class

STATUSES: Final = (301, 302, 303, 307, 308)

HOLES: Final = ("host", "path", "scheme", "uri")
"""What stands between braces: the host without its port, the path, the scheme, path and query."""

_HOLE: Final = re.compile(rb"\{([^{}]*)\}")
_ABSOLUTE: Final = re.compile(rb"(https?|\{scheme\})://([^/?#]+)", re.IGNORECASE)
_AUTHORITY: Final = re.compile(rb"(\{host\}|[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


CHALLENGES: Final = b"/.well-known/acme-challenge/"
"""What the paths begin with by which certificate authorities see whose a host is."""

HTTPS_PORT: Final = 443


def is_challenge(path: bytes) -> bool:
    """Whether a certificate authority may ask so, which comes by http (RFC 8555 section 8.3)."""
    return path.startswith(CHALLENGES)


def https_location(request: RequestHead, port: int) -> bytes:
    """The same by https, as C{Location}."""
    where = b"" if port == HTTPS_PORT else b":%d" % port
    return b"https://" + request.host + where + request.target


class RedirectError(ValueError):
    """What is no target of a redirect."""


@value_class
class Redirect:
    """
    A redirect of every request.

    @ivar to: the URL, with holes.
    @ivar status: 301, 302, 303, 307 or 308.
    """

    to: bytes
    status: int

    @property
    def needs_host(self) -> bool:
        """It names the host that was asked for."""
        return b"{host}" in self.to

    @property
    def to_https(self) -> bool:
        """It sends on who came by http to the same by https, and nobody else."""
        return self.to == b"https://{host}{uri}"

    def location(self, request: RequestHead) -> bytes | None:
        """C{Location} for C{request}; None if that is what it asked for: it would never end."""
        target = request.target
        values = {
            b"host": request.host,
            b"path": target.partition(b"?")[0],
            b"scheme": request.scheme,
            b"uri": target,
        }
        found = _HOLE.sub(lambda hole: values[hole[1]], self.to)
        asked = request.scheme + b"://" + request.host + target
        return None if found in (asked, target) else found


def redirect(to: str, status: int) -> Redirect:
    """
    The redirect that an operator wrote.

    It may not be turned against another host by what a client writes into its path.

    @raise RedirectError: it is none, or may be turned so.
    """
    try:
        encoded = to.encode("ascii")
    except UnicodeEncodeError:
        raise RedirectError("write what is not ASCII as xn--... or %XX") from None
    for hole in _HOLE.findall(encoded):
        name = hole.decode()
        if name not in HOLES:
            from difflib import get_close_matches

            close = get_close_matches(name, HOLES)
            hint = f"did you mean {{{close[0]}}}?" if close else f"there are {', '.join(HOLES)}"
            raise RedirectError(f"unknown {{{name}}}; {hint}")
    rest = _HOLE.sub(b"", encoded)
    if rest.translate(None, TARGET + b"#") or set(rest) & set(b"{}\\"):
        raise RedirectError("this is not a URL")
    begin = _ABSOLUTE.match(encoded)
    if begin is None:
        if encoded[:1] != b"/" or encoded[1:2] in (b"/", b"{", b""):
            raise RedirectError("begin it with https://HOST, http://HOST or /PATH")
        tail = encoded
    else:
        # A path that follows a host at once begins with a slash.
        authority, hole = _split_path(begin[2])
        if not _AUTHORITY.fullmatch(authority):
            raise RedirectError("this is not a host and perhaps a port")
        tail = hole + encoded[begin.end() :]
    if re.search(rb"/\{(uri|path)\}", tail):
        raise RedirectError("{uri} and {path} begin with a slash: write none before them")
    return Redirect(encoded, status)


def _split_path(text: bytes) -> tuple[bytes, bytes]:
    """The authority, and the hole of a path that follows it."""
    for hole in (b"{uri}", b"{path}"):
        if text.endswith(hole):
            return text.removesuffix(hole), hole
    return text, b""
