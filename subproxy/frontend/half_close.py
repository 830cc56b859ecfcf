"""
What a client's FIN means while its answer is under way: gone, or only done with sending.

Both send the same FIN (RFC 9112 section 9.6 permits a half-close). What tells them apart is when it
came: a client that sends its request and closes its half does that before it has seen an answer;
one that leaves a stream of events has seen the head of it. This is a table, and no more; who
acts on it is L{subproxy.frontend.http1.disconnect_probe}.
"""

from __future__ import annotations

from enum import Enum
from math import inf


class HalfClose(Enum):
    """Whether clients may close their half of a connection and still get an answer."""

    AUTO = "auto"
    """Before the head of the answer they may; behind it a FIN means that they leave."""
    ALLOW = "allow"
    """They may at any time: only a reset means that they left."""
    DENY = "deny"
    """They may not: a FIN means that they left, whenever it comes."""


class Fin(Enum):
    """When a client's FIN came."""

    BEFORE_HEAD = "before the head of the answer"
    BEHIND_HEAD = "behind it"


PATIENCE = 1.0
"""
Seconds without data of the guest after which a FIN behind the head of an answer of known length
counts. As long as data go out, a client that is gone resets the connection; and one that is
there sees by the length whether its answer is whole, so it may well have closed its half.
"""

LIMITS: dict[tuple[HalfClose, Fin, bool], float] = {
    (HalfClose.AUTO, Fin.BEFORE_HEAD, False): inf,
    (HalfClose.AUTO, Fin.BEFORE_HEAD, True): inf,
    (HalfClose.AUTO, Fin.BEHIND_HEAD, False): 0.0,
    (HalfClose.AUTO, Fin.BEHIND_HEAD, True): PATIENCE,
    (HalfClose.ALLOW, Fin.BEFORE_HEAD, False): inf,
    (HalfClose.ALLOW, Fin.BEFORE_HEAD, True): inf,
    (HalfClose.ALLOW, Fin.BEHIND_HEAD, False): inf,
    (HalfClose.ALLOW, Fin.BEHIND_HEAD, True): inf,
    (HalfClose.DENY, Fin.BEFORE_HEAD, False): 0.0,
    (HalfClose.DENY, Fin.BEFORE_HEAD, True): 0.0,
    (HalfClose.DENY, Fin.BEHIND_HEAD, False): 0.0,
    (HalfClose.DENY, Fin.BEHIND_HEAD, True): 0.0,
}
"""
Seconds that the guest may be quiet before the client counts as gone, by the option, when the FIN
came, and whether the answer has a length.
"""


def time_left(option: HalfClose, fin: Fin, has_length: bool, quiet: float) -> float:
    """
    Return for how long a client that has sent a FIN still counts as there.

    @param has_length: the answer has one; means nothing before its head.
    @param quiet: seconds since the guest sent anything, while the client took what there was.
    @return: seconds; 0 if it is gone, C{inf} if the FIN alone never says so.
    """
    return max(0.0, LIMITS[option, fin, has_length] - quiet)
