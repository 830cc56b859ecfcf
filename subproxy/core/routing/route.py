"""A route: a host pattern and a path pattern, and its place in the order of precedence.

The order is total, so that C{explain} can name the rule that decided between any two routes, and
it looks at nothing but the routes, so that it is the same in every process and on every host:

1. a literal host beats a host pattern;
2. a longer literal beginning of the path beats a shorter one;
3. a wholly literal path beats a pattern with the same literal beginning;
4. a longer host pattern beats a shorter one;
5. a longer path pattern beats a shorter one;
6. a host pattern beats what comes after it in the order of bytes, then so does a path pattern.

Of equal patterns all have one text (L{Pattern.text}), however each guest has spelled them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from subproxy.core.routing.pattern import Kind, Pattern, RouteRefused, host_pattern, path_pattern

__all__ = ["ANY_PATH", "Kind", "Pattern", "Precedence", "Route", "RouteRefused", "Rule", "decisive"]

ANY_PATH: Final = rb"/.*"

PASSTHROUGH: Final = "passthrough"
"""What tells a route over which TLS goes as it is from one for HTTP."""

Precedence = tuple[int, int, int, int, int, bytes, bytes]
"""Smaller wins: host is a pattern, minus literal bytes of the path, path is a pattern, minus bytes
of the host pattern, minus bytes of the path pattern, and the two patterns."""


class Rule(IntEnum):
    """The rules of precedence, in order; each is the index of its part of a Precedence."""

    LITERAL_HOST = 0
    LONGER_PATH = 1
    LITERAL_PATH = 2
    LONGER_HOST_PATTERN = 3
    LONGER_PATH_PATTERN = 4
    HOST_BYTES = 5
    PATH_BYTES = 6

    @property
    def sentence(self) -> str:
        """The rule in words."""
        return _SENTENCES[self]


_SENTENCES: Final = (
    "a literal host beats a host pattern",
    "a longer literal beginning of the path beats a shorter one",
    "a wholly literal path beats a pattern with the same literal beginning",
    "a longer host pattern beats a shorter one",
    "a longer path pattern beats a shorter one",
    "a host pattern beats what comes after it in the order of bytes",
    "a path pattern beats what comes after it in the order of bytes",
)


def decisive(winner: Precedence, loser: Precedence) -> Rule:
    """Return the rule by which C{winner} comes before C{loser}."""
    for rule in Rule:
        if winner[rule] != loser[rule]:
            return rule
    raise ValueError("two routes have the same precedence")


def _named(what: str, refused: RouteRefused) -> RouteRefused:
    """Say in a refusal which of the two patterns it was."""
    return RouteRefused(refused.code, f"{what}: {refused.reason}")


class Route:
    """An anchored host pattern and path pattern; immutable, hashable.

    The same route spelled twice is equal, whatever the case of a literal host. With C{lazy} the
    patterns are read, and RE2 is asked about them by L{compile}. With C{passthrough} it is one for
    connections over TLS, which whoever serves it gets as they are.
    Raises L{RouteRefused} for a pattern that cannot be registered.
    """

    __slots__ = ("_hash", "host", "passthrough", "path")

    def __init__(
        self,
        host: bytes,
        path: bytes = ANY_PATH,
        *,
        lazy: bool = False,
        passthrough: bool = False,
    ) -> None:
        what = "host"
        try:
            self.host: Final = host_pattern(host, lazy=lazy)
            what = "path"
            self.path: Final = path_pattern(path, lazy=lazy)
        except RouteRefused as refused:
            raise _named(what, refused) from None
        self.passthrough: Final = passthrough
        self._hash = hash((self.host, self.path, passthrough))

    def compile(self) -> bool:
        """Ask RE2 about the patterns; tell whether what the policy looks at is other then.

        Raises L{RouteRefused}.
        """
        what = "host"
        try:
            changed = self.host.compile()
            what = "path"
            return self.path.compile() or changed
        except RouteRefused as refused:
            raise _named(what, refused) from None

    @classmethod
    def of_words(cls, words: Sequence[str]) -> Route:
        """Read what L{words} has written; raises L{RouteRefused}."""
        host, path, *more = words
        passthrough = PASSTHROUGH in more
        return cls(host.encode("latin-1"), path.encode("latin-1"), passthrough=passthrough)

    def words(self) -> list[str]:
        """Return the route as text, for another process of the proxy."""
        words = [self.host.source.decode("latin-1"), self.path.source.decode("latin-1")]
        return [*words, PASSTHROUGH] if self.passthrough else words

    def matches(self, host: bytes, path: bytes) -> bool:
        """Tell whether the normalised C{host} and C{path} belong to this route."""
        return self.host.matches(host) and self.path.matches(path)

    def shares_cost(self, other: Route) -> bool:
        """Tell whether what one request may cost is counted for both; see L{RouteTable}."""
        kinds = (self.host.kind, other.host.kind)
        return self.host == other.host if Kind.LITERAL in kinds else True

    def precedence(self) -> Precedence:
        """Return the sort key of this route."""
        host, path = self.host.text, self.path.text
        return (
            int(self.host.kind is not Kind.LITERAL),
            -len(self.path.literal),
            int(self.path.kind is not Kind.LITERAL),
            -len(host),
            -len(path),
            host,
            path,
        )

    @property
    def program(self) -> int:
        """RE2 instructions of both patterns, if not simple: what matching this route can cost."""
        return self.host.program + self.path.program

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Route)
            and self.host == other.host
            and self.path == other.path
            and self.passthrough == other.passthrough
        )

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        text = f"{self.host.source.decode('latin-1')} {self.path.source.decode('latin-1')}"
        return f"{text} ({PASSTHROUGH})" if self.passthrough else text

    def __repr__(self) -> str:
        return f"<Route {self}>"
