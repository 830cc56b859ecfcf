"""What a client is told whose request L{subproxy.core.balancing.admission} refuses."""

from __future__ import annotations

from typing import Final

from subproxy.core.balancing.admission import (
    MACHINE_DOWN,
    MACHINE_STARTING,
    NO_ROUTE,
    NO_SUBSCRIBER,
    QUEUE_FULL,
    QUEUE_TIMEOUT,
    Refuse,
)
from subproxy.errors import (
    MachineDown,
    MachineStarting,
    NoRoute,
    NoSubscriber,
    ProxyError,
    QueueFull,
    QueueTimeout,
)

REFUSALS: Final[dict[str, type[ProxyError]]] = {
    MACHINE_DOWN: MachineDown,
    MACHINE_STARTING: MachineStarting,
    NO_ROUTE: NoRoute,
    NO_SUBSCRIBER: NoSubscriber,
    QUEUE_FULL: QueueFull,
    QUEUE_TIMEOUT: QueueTimeout,
}
"""The error of each code that admission refuses with."""


def refusal(decision: Refuse) -> ProxyError:
    """The error of a refusal by admission."""
    error = REFUSALS[decision.code]()
    if decision.retry_after:
        error.retry_after = decision.retry_after
    return error
