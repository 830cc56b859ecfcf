"""
Entries of a policy that never win: whom they name belongs to an earlier one already, or is nobody.
"""

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


def unheard_of(policy: Policy) -> Iterator[tuple[int, str, str]]:
    """Yield each identity that no machine can have, with its entry, from 0, and why."""
    for index, guest in enumerate(policy.guests or ()):
        for identity in guest.identities:
            fault = _identity_fault(identity)
            if fault:
                yield index, identity, fault


def _identity_fault(identity: str) -> str:
    kind, colon, rest = identity.partition(":")
    if "*" in kind or kind in ("tcp", "unknown"):
        return ""
    if kind == "path" and colon:
        whole = rest.startswith(("/", "@", "*"))
        return "" if whole else "the path is a whole one, which begins with a slash"
    if kind == "cid" and not rest.replace("*", "0").strip("0123456789") and rest:
        return ""
    return "an identity is such as cid:10 or path:/run/vms/blog.sock"
