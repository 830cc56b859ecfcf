"""The limits that C{hello} and C{welcome} tell the other side."""

from __future__ import annotations

from subproxy.wire.fields import Info
from subproxy.wire.limits import VERSION, Limits


def limits_info(limits: Limits) -> dict[bytes, object]:
    """The part of C{hello} and C{welcome} that says what we take."""
    return {
        b"version": VERSION,
        b"frame": limits.frame,
        b"window": limits.window,
        b"inline": limits.inline,
    }


def parse_limits(info: Info) -> Limits:
    """What the peer takes, from its C{hello} or C{welcome} (whose values L{parse} has checked)."""
    default = Limits()
    return Limits(
        frame=info.get(b"frame", default.frame),
        window=info.get(b"window", default.window),
        inline=info.get(b"inline", default.inline),
    )
