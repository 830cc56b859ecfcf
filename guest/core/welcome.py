"""What the proxy says when it takes a subscription."""

from __future__ import annotations

from dataclasses import field

from subproxy.wire.fields import Info
from subproxy.wire.values import value_class


@value_class
class Welcome:
    """
    The proxy's C{welcome}: its times, and the identity that it has given this guest.

    @ivar identity: who it takes us for.
    @ivar ping: it pings about so often, in seconds.
    @ivar timeout: when nothing has come for so long, in seconds, it is gone.
    @ivar info: all that it said.
    """

    identity: str
    ping: float
    timeout: float
    info: Info = field(default_factory=dict)

    @classmethod
    def of(cls, info: Info) -> Welcome:
        """From the dictionary of C{welcome}, which the wire has checked."""
        return cls(
            info.get(b"identity", b"").decode("utf-8", "replace"),
            info.get(b"ping", 3000) / 1000,
            info.get(b"timeout", 10_000) / 1000,
            info,
        )
