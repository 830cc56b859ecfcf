"""
How much a client may send, what may wait for it, how long it may take: the frontend's limits.

C{HttpLimits} is what the frontend reads; L{TABLE} is the same as a table, from which the
command line and the documentation are made. Heads are held to them in
L{subproxy.frontend.http1.framing} and L{subproxy.frontend.http2.connection}, times in
L{subproxy.frontend.deadlines}.
"""

from __future__ import annotations

from dataclasses import MISSING, field, fields
from typing import NamedTuple

from subproxy.wire.values import value_class

WRITE_BUFFER = 81_920
"""
Bytes that wait for a client before it is waited for, the C{bufferSize} of its transport: the
longest answer that rides in a frame, with its head. Of both paths: it decides when one is logged.
"""

READ_SIZE = 79_872
"""Bytes of a body that are read of its guest at once, if they are: over TLS not more than
L{WRITE_BUFFER}, so that its client is not waited for with each."""


def _limit(default: float, unit: str, option: str, help: str) -> float:
    return field(default=default, metadata={"unit": unit, "option": option, "help": help})


def _count(default: int, unit: str, option: str, help: str) -> int:
    return field(default=default, metadata={"unit": unit, "option": option, "help": help})


@value_class
class HttpLimits:
    """
    The limits of one HTTP frontend.

    Deadlines are total: what a client sends in between does not extend them. A body has a
    slowest rate, and a grace by which it may be behind.
    Zero means no limit only where the help says so.
    """

    target: int = _count(
        8192, "bytes", "max-target", "longest request target; a longer one gets 414"
    )
    head: int = _count(
        32768, "bytes", "max-head", "largest request head, all lines of it; a larger one gets 431"
    )
    fields: int = _count(100, "fields", "max-fields", "most fields in a request; more get 431")
    body: int = _count(
        0, "bytes", "max-body", "largest request body; a larger one gets 413; 0: no limit"
    )
    inline: int = _count(
        65536, "bytes", "inline-body", "largest request body that is collected before it is sent on"
    )
    chunk_overhead: int = _count(
        16384,
        "bytes",
        "max-chunk-overhead",
        "most chunk extensions and trailers in a chunked request body; more get 400",
    )
    requests: int = _count(
        10000, "requests", "keepalive-requests", "requests on one connection, then it is closed"
    )
    connections: int = _count(
        0,
        "connections",
        "max-connections",
        "open client connections; further ones are closed at once; 0: no limit",
    )
    header_timeout: float = _limit(
        10.0, "seconds", "header-timeout", "from the first byte of a request head to its last"
    )
    body_grace: float = _limit(
        10.0,
        "seconds",
        "body-grace",
        "how far a body may be behind its slowest rate, either way, before it is given up",
    )
    body_rate: int = _count(
        500,
        "bytes a second",
        "min-body-rate",
        "slowest rate at which a client may send or take a body; 0: no limit",
    )
    unsent: int = _count(
        131_072,
        "bytes",
        "max-unsent",
        "what the kernel keeps for a client beyond what is on its way; 0: what the system says",
    )
    response_timeout: float = _limit(
        60.0, "seconds", "response-timeout", "from a whole request to its response head, then 504"
    )
    tunnel_idle: float = _limit(
        3600.0, "seconds", "tunnel-idle", "how long nothing need pass through a tunnel, either way"
    )
    keepalive_timeout: float = _limit(
        75.0, "seconds", "keepalive-timeout", "how long a connection may idle between requests"
    )
    linger: float = _limit(
        2.0,
        "seconds",
        "linger",
        "how long a closed connection still reads, so that the client gets its last answer",
    )


class Row(NamedTuple):
    """
    One limit.

    @ivar name: the attribute of L{HttpLimits}.
    @ivar option: its option on the command line, without dashes in front.
    @ivar default: the default.
    @ivar unit: what it counts.
    @ivar help: one line for a person.
    """

    name: str
    option: str
    default: float
    unit: str
    help: str


def _row(name: str, default: object, metadata: dict[str, str]) -> Row:
    assert default is not MISSING
    assert isinstance(default, (int, float))
    return Row(name, metadata["option"], default, metadata["unit"], metadata["help"])


TABLE: list[Row] = [
    _row(each.name, each.default, dict(each.metadata)) for each in fields(HttpLimits)
]
"""Every limit, in the order of the documentation."""


def parse(row: Row, text: str) -> float:
    """
    What C{text} on a command line means for C{row}.

    @raise ValueError: it is not a number that the limit can have.
    """
    value: float = int(text) if isinstance(row.default, int) else float(text)
    if not 0 <= value < 2**63:
        raise ValueError(f"{text} is out of range")
    return value
