"""Tells the log of subscribers that fail."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from subproxy.core.balancing.member import member_name
from subproxy.core.balancing.outliers import IN_A_ROW, Decision, Eject, Reinstate

_SAID = {
    IN_A_ROW: "it has failed again and again",
    "share": "it fails more than the others of its routes",
}


def ejection_log() -> Callable[[Decision], None]:
    """
    What L{FailingMembers<subproxy.core.failing_members.FailingMembers>} tells of its decisions.

    None of them comes more than a few times a minute for one subscriber.
    """
    log = Logger("subproxy.guests")

    def told(decision: Decision) -> None:
        name = member_name(decision.member)
        if isinstance(decision, Eject):
            log.warn(
                "{name} gets nothing for {seconds:.0f} s: {reason}",
                name=name,
                seconds=decision.seconds,
                reason=_SAID[decision.reason],
            )
        elif isinstance(decision, Reinstate):
            log.info("{name} is used again", name=name)

    return told
