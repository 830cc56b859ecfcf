"""How many descriptors there are, and how many of them clients may use up."""

from __future__ import annotations

import resource

RESERVE = 4096
"""Descriptors that are kept for guests, logs and listeners: a quarter of all, this at most."""


def raise_limit() -> int:
    """Allow this process as many as it may allow itself; how many that is, 0 for no limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        hard, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if hard == resource.RLIM_INFINITY else hard


def client_limit(limit: int, asked: int = 0) -> int:
    """
    How many connections clients may have, where C{limit} descriptors are to be had.

    @param asked: what the operator wants at most; 0 for as many as can be.
    """
    if not limit:
        return asked
    room = limit - min(limit // 4, RESERVE)
    return min(asked, room) if asked else room
