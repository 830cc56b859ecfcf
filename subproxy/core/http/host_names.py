"""
Names of hosts, as a certificate has them: exact ones, and wildcards for one label.

RFC 9525 section 6.3: a wildcard is the whole leftmost label, and stands for exactly one. Names are
in lower case, without a final dot; an IP address is a name like any other, and has no wildcard.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

WILDCARD: Final = b"*."


def parent(name: bytes) -> bytes:
    """What a wildcard has to be followed by to stand for C{name}; empty if none can."""
    label, _, rest = name.partition(b".")
    return rest if label and not name[-1:].isdigit() else b""


class HostNames:
    """
    The names that one certificate is good for.

    @param names: each a name, or C{*.} and a name.
    @ivar exact: those without a wildcard.
    @ivar wildcards: the others, without C{*.}.
    """

    __slots__ = ("exact", "wildcards")

    def __init__(self, names: Iterable[bytes]) -> None:
        exact, wildcards = set(), set()
        for each in names:
            name = each.lower().rstrip(b".")
            if name.startswith(WILDCARD):
                wildcards.add(name.removeprefix(WILDCARD))
            elif name:
                exact.add(name)
        self.exact = frozenset(exact)
        self.wildcards = frozenset(wildcards)

    def covers(self, name: bytes) -> bool:
        """Whether C{name} (lower case, no port, no final dot) is one of them."""
        return name in self.exact or (bool(self.wildcards) and parent(name) in self.wildcards)

    def texts(self) -> list[str]:
        """All of them, sorted, for people."""
        found = [*self.exact, *(WILDCARD + each for each in self.wildcards)]
        return sorted(each.decode("latin-1") for each in found)
