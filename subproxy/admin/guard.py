"""
Who may ask the admin listener for what. Pure: a request's fields in, a refusal or None out.

Over a UNIX socket its mode has decided already. Over TCP anything that can reach the port asks,
and so do pages of strangers in the browser of an operator who can reach it. Against them:

- Host must be a name that no stranger can point here: a loopback name, the address that was
  dialled, or one that the operator has listed. (DNS rebinding.)
- A request that a browser says comes from another origin is refused (Origin, and Sec-Fetch-Site
  of Fetch Metadata), whatever it asks for; no answer has a CORS field.
- All but L{OPEN} needs the token (RFC 6750), which a page does not know.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

OPEN = frozenset({b"/metrics", b"/healthz", b"/readyz"})
"""Pages that anybody may read: for Prometheus and health checks."""

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


class Guard:
    """
    Decides.

    @param token: what opens all pages over TCP; None if nothing does.
    @param hosts: further names by which the listener is called.
    """

    def __init__(self, token: bytes | None = None, hosts: Iterable[str] = ()) -> None:
        self._token = token
        self._hosts = {host.lower() for host in hosts}

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
        if own is None:
            return None
        reads = method in READS
        if not (reads and path in NAMELESS) and not self._is_ours(fields(b"host"), own):
            return Refusal(421, "this listener is not called that; see --admin-host")
        if reads and path in OPEN:
            return None
        return self._check_token(fields(b"authorization"))

    def _check_token(self, given: list[bytes]) -> Refusal | None:
        if not given:
            return Refusal(401, "a token is needed: Authorization: Bearer", b'Bearer realm="admin"')
        scheme, _, token = given[0].partition(b" ")
        good = self._token is not None and hmac.compare_digest(token.strip(b" "), self._token)
        if not good or scheme.lower() != b"bearer" or len(given) > 1:
            challenge = b'Bearer realm="admin", error="invalid_token"'
            return Refusal(401, "the token is wrong", challenge)
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
