"""
W3C Trace Context: C{traceparent} and C{tracestate}, passed on as they came, or made.

The proxy sends spans to nobody. So it does not put itself between two spans, where a parent would
be missing then: a C{traceparent} that is valid goes on unchanged (Trace Context, level 1, section
4.3 lets a service pass it on so). Where there is none, or none that is valid, a new trace begins,
and a C{tracestate} that came with it is dropped (section 3.3.1).

Compiled a second time, as far as finding the fields goes: L{subproxy.fastpath._trace_field}
(see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import SystemRandom

from subproxy.core.http.request import Headers

random_bytes = SystemRandom().randbytes
"""Of the system."""

TRACEPARENT = b"traceparent"
TRACESTATE = b"tracestate"

MAX_SIZE = 256
"""Bytes of a C{traceparent} of a later version than 00: what is longer is taken for none."""

MAX_MEMBERS = 32
"""What a C{tracestate} may list (section 3.3.1.1)."""

_PARENT = re.compile(
    rb"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-[0-9a-f]{2}"
    rb"(?P<more>-.*)?",
    re.DOTALL,
)
_KEY = rb"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
_MEMBER = re.compile(_KEY + rb"=[\x20-\x2B\x2D-\x3C\x3E-\x7E]{0,255}[\x21-\x2B\x2D-\x3C\x3E-\x7E]")


def trace_id(traceparent: bytes) -> bytes | None:
    """
    The trace that a C{traceparent} names, 32 hexadecimal digits (section 3.2.2).

    @return: None if it is not valid: of version ff, of none, or with an id of zeros alone; one of
        version 00 has nothing behind its flags, one of a later version may.
    """
    if len(traceparent) > MAX_SIZE:
        return None
    found = _PARENT.fullmatch(traceparent)
    if found is None or found["version"] == b"ff":
        return None
    if found["more"] is not None and found["version"] == b"00":
        return None
    if not found["trace"].strip(b"0") or not found["parent"].strip(b"0"):
        return None
    return found["trace"]


def is_state(tracestate: bytes) -> bool:
    """Whether C{tracestate} is a list of at most 32 members, no key twice (section 3.3.1)."""
    members = [each.strip(b" \t") for each in tracestate.split(b",")]
    members = [each for each in members if each]
    keys = [each.partition(b"=")[0] for each in members]
    return (
        len(members) <= MAX_MEMBERS
        and len(set(keys)) == len(keys)
        and all(_MEMBER.fullmatch(each) for each in members)
    )


class TraceContext:
    """
    Follows traces, and begins them.

    @param share: of the traces that begin here, those that are marked as sampled, 0 to 1: by their
        ids, as C{TraceIdRatioBased} of OpenTelemetry does, so that others decide the same.
    @param random: so many random bytes.
    """

    def __init__(self, share: float = 0.0, random: Callable[[int], bytes] = random_bytes) -> None:
        self.share = share
        self._bound = round(share * (1 << 56))
        self._random = random

    def make(self) -> bytes:
        """A C{traceparent} of a new trace, of version 00, 55 bytes."""
        drawn = self._random(24)
        trace, parent = drawn[:16], drawn[16:]
        if not any(trace) or not any(parent):
            return self.make()
        sampled = int.from_bytes(trace[9:], "big") < self._bound
        return b"00-%b-%b-%02d" % (trace.hex().encode(), parent.hex().encode(), sampled)

    def follow(self, headers: Headers) -> bytes:
        """
        Leave in C{headers} a C{traceparent} that is valid, and what belongs to it.

        @return: the trace.
        """
        parents: Headers = []
        states: Headers = []
        for pair in headers:
            size = len(pair[0])
            if size == 11 and pair[0].lower() == TRACEPARENT:
                parents.append(pair)
            elif size == 10 and pair[0].lower() == TRACESTATE:
                states.append(pair)
        # Of two nobody knows which is meant (section 3.2.1).
        trace = trace_id(parents[0][1]) if len(parents) == 1 else None
        dropped = states
        if trace is None:
            dropped = parents + states
        elif not states or is_state(b",".join([value for _, value in states])):
            dropped = []
        if dropped:
            headers[:] = [pair for pair in headers if pair not in dropped]
        if trace is None:
            made = self.make()
            headers.append((TRACEPARENT, made))
            trace = made[3:35]
        return trace
