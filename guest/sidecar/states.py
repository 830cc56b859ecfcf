"""
The life of a program under the sidecar, as a table.

    WAITING ──▶ STARTING ──▶ SERVING ──▶ WAITING ...
                                 any ──▶ STOPPING ──▶ ENDED
"""

from __future__ import annotations

from enum import Enum, auto


class ProgramState(Enum):
    """What a program does; routes are registered in C{SERVING} alone."""

    __hash__ = object.__hash__  # that of Enum is Python code, and costs a microsecond a request

    WAITING = auto()
    """It does not run: it has ended, and is started again after a while. The first."""
    STARTING = auto()
    """It runs, and does not take connections yet, or any more. (A program that is not ours may
    not run at all.)"""
    SERVING = auto()
    """It takes connections."""
    STOPPING = auto()
    """It has been asked to end."""
    ENDED = auto()
    """It is not started again."""


PROGRAM_TRANSITIONS: dict[ProgramState, frozenset[ProgramState]] = {
    ProgramState.WAITING: frozenset(
        {ProgramState.STARTING, ProgramState.WAITING, ProgramState.STOPPING, ProgramState.ENDED}
    ),
    ProgramState.STARTING: frozenset(
        {ProgramState.SERVING, ProgramState.WAITING, ProgramState.STOPPING, ProgramState.ENDED}
    ),
    # Back to STARTING: it runs on, but its socket refuses connections (it reloads itself, say).
    ProgramState.SERVING: frozenset(
        {ProgramState.STARTING, ProgramState.WAITING, ProgramState.STOPPING, ProgramState.ENDED}
    ),
    ProgramState.STOPPING: frozenset({ProgramState.ENDED}),
    ProgramState.ENDED: frozenset(),
}
"""For each state, those that may follow it."""


class ClientConnectionState(Enum):
    """What a connection to the program does."""

    __hash__ = object.__hash__  # that of Enum is Python code, and costs a microsecond a request

    IDLE = auto()
    """It waits for a request."""
    ASKING = auto()
    """A request goes over it; of the answer no byte has come."""
    ANSWERING = auto()
    """The answer has begun."""
    ANSWERED = auto()
    """The answer is complete; the request may not be."""
    CLOSED = auto()
    """It is gone, or of no use any more."""


CLIENT_CONNECTION_TRANSITIONS: dict[ClientConnectionState, frozenset[ClientConnectionState]] = {
    ClientConnectionState.IDLE: frozenset(
        {ClientConnectionState.ASKING, ClientConnectionState.CLOSED}
    ),
    ClientConnectionState.ASKING: frozenset(
        {ClientConnectionState.ANSWERING, ClientConnectionState.CLOSED}
    ),
    ClientConnectionState.ANSWERING: frozenset(
        {ClientConnectionState.ANSWERED, ClientConnectionState.CLOSED}
    ),
    ClientConnectionState.ANSWERED: frozenset(
        {ClientConnectionState.IDLE, ClientConnectionState.CLOSED}
    ),
    ClientConnectionState.CLOSED: frozenset(),
}
"""For each state, those that may follow it."""
