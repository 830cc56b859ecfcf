"""
Who may ask the admin listener for what. Pure: a request's fields in, a refusal or None out.

Over a UNIX socket its mode has decided already. Over TCP anything that can reach the port asks,
and so do pages of strangers in the browser of an operator who can reach it. Against them:

- Host must be a name that no stranger can point here: a loopback name, the address that was
  dialled, or one that the operator has listed. (DNS rebinding.)
- A request that a browser says comes from another origin is refused (Origin, and Sec-Fetch-Site
  of Fetch Metadata), whatever it asks for; no answer has a CORS field.
- All but L{OPEN} needs the token (RFC 6750), which a page does not know; or the cookie of a browser
  in which it was typed (L{SignedCookie}). A browser adds that by itself, so to change something
  needs Origin too, which says whose page asks.

A UNIX socket is reached by a browser if somebody forwards a port to it (C{ssh -L}). So a name that
a stranger could point here is refused there as well.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from subproxy.admin.cookie import SignedCookie

ASSETS = frozenset({b"/static/page.css", b"/static/page.js", b"/static/icon.svg"})
"""What the page looks like, and does: the same for everybody."""

OPEN = frozenset({b"/metrics", b"/healthz", b"/readyz"}) | ASSETS
"""Pages that anybody may read: for Prometheus and health checks, and nobody's secret."""

SIGN_IN = b"/sign-in"
"""Where the token is typed; who posts there needs none yet."""

NAMELESS = frozenset({b"/healthz", b"/readyz"})
"""Pages that say nothing worth a check of Host: load balancers call us what they like."""

READS = frozenset({b"GET", b"HEAD"})
METHODS = (b"GET", b"HEAD", b"POST", b"DELETE")

Fields = Callable[[bytes], list[bytes]]
"""The values of a field by its name."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    Why a request is not answered.

    @ivar status: HTTP status.
    @ivar reason: for who asks, and for the log.
    @ivar challenge: of C{WWW-Authenticate}; empty for none.
    """

    status: int
    reason: str
    challenge: bytes = b""


_INVALID = b'Bearer realm="admin", error="invalid_token"'
_MISDIRECTED = Refusal(421, "this listener is not called that; see --admin-host")


class Guard:
    """
    Decides.

    @param token: what opens all pages over TCP; None if nothing does.
    @param hosts: further names by which the listener is called.
    @param now: seconds since 1970.
    @ivar cookie: of browsers; None if nothing opens the pages.
    """

    def __init__(
        self,
        token: bytes | None = None,
        hosts: Iterable[str] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._token = token
        self._hosts = {host.lower() for host in hosts}
        self._now = now
        self.cookie = None if token is None else SignedCookie(token)

    def check(self, method: bytes, path: bytes, fields: Fields, own: str | None) -> Refusal | None:
        """
        Decide on one request.

        @param fields: the request's.
        @param own: the address that was dialled; None if that is a UNIX socket's.
        @return: None if it is to be answered.
        """
        refusal = self._check_origin(method, fields)
        if refusal is not None:
            return refusal
        if method not in METHODS:
            return Refusal(405, "this method is not allowed")
        reads = method in READS
        nameless = reads and path in NAMELESS
        if own is None:
            if not nameless and any(map(self._may_be_a_strangers, fields(b"host"))):
                return _MISDIRECTED
            return None
        if not nameless and not self._is_ours(fields(b"host"), own):
            return _MISDIRECTED
        if reads and path in OPEN:
            return None
        if method == b"POST" and path == SIGN_IN:
            return None
        given = fields(b"authorization")
        if given:
            return self._check_token(given)
        return self._check_cookie(reads, fields)

    def sign_in(self, token: bytes, *, secure: bool) -> bytes | Refusal:
        """
        Decide on a token that somebody has typed.

        @param secure: it came over TLS.
        @return: a value of C{Set-Cookie}, or why there is none.
        """
        if self.cookie is None or not self._is_token(token):
            return Refusal(401, "the token is wrong", _INVALID)
        return self.cookie.issue(self._now(), secure=secure)

    def _is_token(self, given: bytes) -> bool:
        return self._token is not None and hmac.compare_digest(given.strip(b" "), self._token)

    def _check_token(self, given: list[bytes]) -> Refusal | None:
        scheme, _, token = given[0].partition(b" ")
        if not self._is_token(token) or scheme.lower() != b"bearer" or len(given) > 1:
            return Refusal(401, "the token is wrong", _INVALID)
        return None

    def _check_cookie(self, reads: bool, fields: Fields) -> Refusal | None:
        if self.cookie is None or not self.cookie.holds(fields(b"cookie"), self._now()):
            return Refusal(401, "a token is needed: Authorization: Bearer", b'Bearer realm="admin"')
        if not reads and not fields(b"origin"):
            return Refusal(403, "with a cookie, Origin has to say whose page asks")
        return None

    def _check_origin(self, method: bytes, fields: Fields) -> Refusal | None:
        hosts = [b"//" + host.lower() for host in fields(b"host")]
        for origin in fields(b"origin"):
            scheme, _, rest = origin.lower().partition(b":")
            if scheme not in (b"http", b"https") or rest not in hosts:
                return Refusal(403, "a page of another origin may not ask")
        for site in fields(b"sec-fetch-site"):
            if site in (b"same-origin", b"none"):
                continue
            # Who follows a link reads the page; the page that has the link does not.
            follows = fields(b"sec-fetch-mode") == [b"navigate"]
            follows = follows and fields(b"sec-fetch-dest") == [b"document"]
            if not (follows and method in READS):
                return Refusal(403, "a page of another site may not ask")
        return None

    def _may_be_a_strangers(self, host: bytes) -> bool:
        """Whether a name of DNS: it has a dot, and is neither an address nor one of ours."""
        name = _name(host.decode("latin-1").lower())
        return "." in name and name not in self._hosts and _address(name) is None

    def _is_ours(self, given: list[bytes], own: str) -> bool:
        if len(given) != 1:
            return False
        name = _name(given[0].decode("latin-1").lower())
        if name in self._hosts or name == "localhost":
            return True
        address = _address(name)
        return address is not None and (address.is_loopback or address == _address(own))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _name(host: str) -> str:
    """A Host without its port, and without brackets."""
    if host.startswith("["):
        name, bracket, _ = host[1:].partition("]")
        return name if bracket else ""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).rstrip(".")
