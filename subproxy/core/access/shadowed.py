"""Entries of a policy that never win: whom they name belongs to an earlier one already."""

from __future__ import annotations

from collections.abc import Iterator

from subproxy.core.access.policy import Glob, Policy


def shadowed(policy: Policy) -> Iterator[tuple[int, str, int, str]]:
    """Yield, for each identity that none can belong by, its entry, itself, and what covers it.

    Entries are counted from 0. Only an identity with C{*} can be covered: one without is looked
    for first.
    """
    before: list[tuple[int, str, Glob]] = []
    for index, guest in enumerate(policy.guests or ()):
        for identity in guest.identities:
            if "*" not in identity:
                continue
            # A C{*} stands for itself, too: who takes the pattern as a name takes what it takes.
            name = identity.encode("utf-8", "surrogateescape")
            for other, wider, glob in before:
                if other != index and glob.matches(name):
                    yield index, identity, other, wider
                    break
            before.append((index, identity, Glob(identity)))
