"""
Session affinity: the requests of one client go to one subscriber, for as long as that is ready.

By a cookie of ours, whose value is a digest of who the subscriber is, or by the value of a field,
which chooses by rendezvous hashing: when a subscriber leaves, only its own clients move.
"""

from __future__ import annotations

import math
from functools import lru_cache
from hashlib import blake2b
from typing import Final, Protocol

from subproxy.core.balancing.member import READY, Member, Pool
from subproxy.core.http.request import Header, RequestHead
from subproxy.wire.values import value_class

SAME_SITE: Final = ("lax", "strict", "none")

COOKIE: Final = "subproxy"
"""The name of the cookie, before the mark of the route."""


class Affinity(Protocol):
    """How a subscriber is remembered."""

    def member(self, request: RequestHead, pool: Pool) -> Member | None:
        """The one that C{request} belongs to, which is ready; None if there is none."""

    def answered(self, request: RequestHead, pool: Pool, member: Member) -> Header | None:
        """A field by which the client is told that C{member} has answered it."""


@value_class
class CookieAffinity:
    """
    By a cookie, one for each route: those of other routes on the same host are not disturbed.

    @ivar name: the name, before the mark of the route.
    @ivar same_site: one of L{SAME_SITE}.
    """

    name: bytes
    same_site: str = "lax"

    def member(self, request: RequestHead, pool: Pool) -> Member | None:
        """See L{Affinity}."""
        told = self._told(request, pool)
        if not told:
            return None
        for member in pool.members:
            if member.state == READY and member_mark(member) in told:
                return member
        return None

    def answered(self, request: RequestHead, pool: Pool, member: Member) -> Header | None:
        """See L{Affinity}."""
        mark = member_mark(member)
        if mark in self._told(request, pool):
            return None
        value = b"%b=%b; Path=/; HttpOnly; SameSite=%b" % (
            self._cookie(pool),
            mark,
            self.same_site.capitalize().encode(),
        )
        if request.scheme == b"https" or self.same_site == "none":
            value += b"; Secure"
        return b"Set-Cookie", value

    def _cookie(self, pool: Pool) -> bytes:
        return self.name + b"_" + _route_mark(pool.route.host.source, pool.route.path.source)

    def _told(self, request: RequestHead, pool: Pool) -> list[bytes]:
        """What the client says in cookies of that name."""
        begin = self._cookie(pool) + b"="
        return [
            cookie.strip()[len(begin) :]
            for name, value in request.headers
            if len(name) == 6 and name.lower() == b"cookie"
            for cookie in value.split(b";")
            if cookie.strip().startswith(begin)
        ]


@value_class
class HeaderAffinity:
    """
    By the value of a field; who sends none goes to whoever is chosen.

    @ivar name: of the field, in lower case.
    """

    name: bytes

    def member(self, request: RequestHead, pool: Pool) -> Member | None:
        """See L{Affinity}."""
        value = b", ".join(value for name, value in request.headers if name.lower() == self.name)
        if not value:
            return None
        number = _number(value)
        best: Member | None = None
        highest = 0.0
        for member in pool.members:
            if member.state == READY:
                drawn = (_mixed(number ^ _number(member_mark(member))) + 0.5) / 2.0**64
                score = member.weight / -math.log(drawn)
                if best is None or score > highest:
                    best, highest = member, score
        return best

    def answered(self, request: RequestHead, pool: Pool, member: Member) -> Header | None:
        """See L{Affinity}: whom the field chooses, nobody needs to be told."""
        return None


def member_mark(member: Member) -> bytes:
    """What stands for C{member}, also when its application has started anew: 16 characters."""
    return _mark(member.identity, member.application, member.worker)


@lru_cache(8192)
def _mark(identity: str, application: bytes, worker: int) -> bytes:
    text = identity.encode("utf-8", "surrogateescape")
    return blake2b(b"%b\0%b\0%d" % (text, application, worker), digest_size=8).hexdigest().encode()


@lru_cache(8192)
def _route_mark(host: bytes, path: bytes) -> bytes:
    return blake2b(b"%b %b" % (host, path), digest_size=4).hexdigest().encode()


@lru_cache(8192)
def _number(text: bytes) -> int:
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def _mixed(number: int) -> int:
    """C{number} of 64 bits, of which each bit depends on each (the finaliser of splitmix64)."""
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return number ^ (number >> 31)
