"""What a virtual machine may claim, and whether a route lies within it.

A claim is a host and a path. The host is literal (C{blog.example}), a wildcard for everything
below a domain (C{*.blog.example}, which is not C{blog.example} itself), or C{*} for any. The
path covers itself and everything below it: C{/api} covers C{/api} and C{/api/v1}, not
C{/apis}; C{/} covers every path.

Whether one regular expression is contained in another is costly to decide, so with a policy a
route's host must be such that it is obvious: literal, or a wildcard written as one of C{HEADS}
and a literal ending, as in C{.*\\.blog\\.example}; only C{*} covers other patterns. For the
path it is enough that all that the pattern matches begins with what the claim covers, and
L{Pattern.literal <subproxy.core.routing.pattern.Pattern.literal>} knows that.

**Who owns a URL.** Where claims of several guests cover it, the most specific one does: a
literal host before a wildcard, then the longer path. A route is allowed if the most specific
claim that covers all of it is the guest's own. Then no guest's route takes a URL from a route
that lies within the claim of its owner: what it matches of the owner's URLs without lying
within that claim itself, it matches with a host pattern or with a shorter literal path, and
those lose (see L{subproxy.core.routing.route}). Where that would not hold, because two guests
claim overlapping wildcards, the policy is refused: see C{conflict}.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from subproxy.core.http.normalise import normalise_host, normalise_path
from subproxy.core.routing.pattern import Kind, Pattern, RouteRefused
from subproxy.core.routing.route import Route

HEADS: Final = (rb".*\.", rb".+\.", rb"[^.]+\.", rb"[^.]*\.", rb"[a-z0-9-]+\.")
"""How a wildcard in a route's host pattern may begin."""

_LABELS: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-._")


class ClaimError(ValueError):
    """A claim in a policy that is not one."""


class Claim:
    """A host and a path that belong to somebody.

    host: the claim as written, in lower case. literal: whether the host is. suffix: what every
    host that it covers ends with (all of it for a literal). path: without final slash, so that
    the root is empty.

    Raises L{ClaimError}.
    """

    __slots__ = ("host", "literal", "path", "suffix")

    def __init__(self, host: str, path: str) -> None:
        self.host: Final = host.lower()
        self.literal: Final = not self.host.startswith("*")
        self.suffix: Final = _suffix(self.host)
        self.path: Final = _path(path)

    def covers(self, host: bytes, path: bytes) -> bool:
        """Tell whether the normalised C{host} and C{path} lie within the claim."""
        if host != self.suffix and (self.literal or not host.endswith(self.suffix)):
            return False
        return path == self.path or path.startswith(self.path + b"/")

    def covers_route(self, route: Route) -> bool:
        """Tell whether all that C{route} matches lies within the claim."""
        return self._covers_host(route.host) and self._covers_path(route.path)

    def meets_host(self, host: Pattern) -> bool:
        """Tell whether C{host} may match a host that lies within the claim."""
        if host.kind is Kind.LITERAL:
            return self._covers_host(host)
        suffix = wildcard(host)
        if suffix is None or self.suffix.endswith(suffix):
            return True
        return not self.literal and suffix.endswith(self.suffix)

    @property
    def specificity(self) -> tuple[bool, int, int]:
        """The sort key of claims that cover the same: the greatest one owns it."""
        return self.literal, len(self.suffix), len(self.path)

    def _covers_host(self, host: Pattern) -> bool:
        if self.host == "*":
            return True
        if host.kind is Kind.LITERAL:
            if self.literal:
                return host.literal == self.suffix
            return len(host.literal) > len(self.suffix) and host.literal.endswith(self.suffix)
        if self.literal:
            return False
        suffix = wildcard(host)
        return suffix is not None and suffix.endswith(self.suffix)

    def _covers_path(self, path: Pattern) -> bool:
        if not self.path:
            return True
        if path.kind is Kind.LITERAL and path.literal == self.path:
            return True
        return path.literal.startswith(self.path + b"/")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Claim) and (self.host, self.path) == (other.host, other.path)

    def __hash__(self) -> int:
        return hash((self.host, self.path))

    def __str__(self) -> str:
        return f"{self.host}{self.path.decode('latin-1') or '/'}"

    def __repr__(self) -> str:
        return f"<Claim {self}>"


def wildcard(host: Pattern) -> bytes | None:
    """Return what C{host} is a wildcard for (C{.blog.example}), None if it is no wildcard."""
    return None if host.kind is Kind.LITERAL else _wildcard(host.source)


@lru_cache(64)
def _wildcard(source: bytes) -> bytes | None:
    """See C{wildcard}. It is asked for each claim of a policy, and takes time in a long pattern."""
    source = source.removeprefix(b"^").removesuffix(b"$")
    for head in HEADS:
        if source.startswith(head):
            try:
                rest = Pattern(source[len(head) :], ignore_case=True, lazy=True)
            except RouteRefused:
                return None
            return b"." + rest.literal if rest.kind is Kind.LITERAL else None
    return None


def conflict(one: Claim, other: Claim) -> str | None:
    """Return why two claims of different guests cannot stand beside each other, or None.

    Equal claims would let each take from the other by a longer path. Overlapping wildcards
    would let each take from the other by a literal host, or by a longer pattern.
    """
    if one == other:
        return "is claimed twice; guests that share it belong into one entry"
    if one.literal or other.literal:
        return None
    if not (one.suffix.endswith(other.suffix) or other.suffix.endswith(one.suffix)):
        return None
    if not (_below(one.path, other.path) or _below(other.path, one.path)):
        return None
    return "overlaps another guest's wildcard; name literal hosts in one of them"


def _below(path: bytes, other: bytes) -> bool:
    return path == other or path.startswith(other + b"/")


def _suffix(host: str) -> bytes:
    try:
        encoded = host.encode("ascii")
    except UnicodeEncodeError:
        raise ClaimError(f"host {host!r} is not ASCII; write it as xn--...") from None
    if host == "*":
        return b""
    suffix = encoded.removeprefix(b"*") if host.startswith("*.") else encoded
    name = suffix.removeprefix(b".") if host.startswith("*.") else suffix
    if b"*" in name:
        raise ClaimError(f"host {host!r}: a '*' may only stand at the beginning, as in '*.example'")
    if name.startswith(b"[") and name.endswith(b"]") and host == name.decode():
        return suffix
    if b"://" in name:
        raise ClaimError(f"host {host!r}: leave the scheme out")
    if name.count(b":") > 1 and not name.startswith(b"["):
        raise ClaimError(f"host {host!r}: an IPv6 address stands in brackets, '[::1]'")
    if b":" in name:
        raise ClaimError(f"host {host!r}: leave the port out")
    if b"/" in name:
        raise ClaimError(f"host {host!r} is not a host name; what is below it stands in paths")
    if not name or not set(name) <= _LABELS or b".." in name or name.startswith(b"."):
        raise ClaimError(f"host {host!r} is not a host name")
    if normalise_host(name) != name:
        raise ClaimError(f"host {host!r}: leave the final dot out")
    return suffix


def _path(path: str) -> bytes:
    encoded = path.encode("utf-8")
    if not encoded.startswith(b"/"):
        raise ClaimError(f"path {path!r} does not begin with '/'")
    if b"*" in encoded:
        raise ClaimError(f"path {path!r}: a path covers what is below it anyway; leave '*' out")
    normal = normalise_path(encoded)
    if normal != encoded:
        raise ClaimError(f"path {path!r} is not in its normal form, {normal.decode('ascii')!r}")
    return encoded.rstrip(b"/")
