"""The life of a view of the store, of a lease in it, and of what is asked for its sake."""

from __future__ import annotations

from enum import Enum, auto

from subproxy.core.states import TransitionTable


class ViewState(Enum):
    """
    How what is known of the store has come to be known.

    - C{LISTING}: all of it is asked for.
    - C{PROVING}: it was, or was heard of; a watch is asked for that has not been heard yet.
    - C{WATCHING}: a watch is heard.
    - C{AWAY}: the store does not answer; what was known goes on, and is stale.
    - C{CLOSED}: it is over.
    """

    LISTING = auto()
    PROVING = auto()
    WATCHING = auto()
    AWAY = auto()
    CLOSED = auto()


VIEW_TRANSITIONS: TransitionTable[ViewState] = TransitionTable(
    {
        ViewState.LISTING: [ViewState.PROVING, ViewState.AWAY, ViewState.CLOSED],
        ViewState.PROVING: [
            ViewState.WATCHING,
            ViewState.LISTING,
            ViewState.AWAY,
            ViewState.CLOSED,
        ],
        ViewState.WATCHING: [
            ViewState.PROVING,
            ViewState.LISTING,
            ViewState.AWAY,
            ViewState.CLOSED,
        ],
        ViewState.AWAY: [ViewState.LISTING, ViewState.CLOSED],
        ViewState.CLOSED: [],
    }
)


class LeaseState(Enum):
    """
    Whether what this host publishes can stand in the store.

    - C{NONE}: there is no lease, or it was lost.
    - C{HELD}: there is one, which is kept alive.
    - C{FROZEN}: nothing is written any more, but what there is stays: another process of this host
      publishes.
    - C{REVOKED}: it was given back, and all that stood under it is gone.
    """

    NONE = auto()
    HELD = auto()
    FROZEN = auto()
    REVOKED = auto()


LEASE_TRANSITIONS: TransitionTable[LeaseState] = TransitionTable(
    {
        LeaseState.NONE: [LeaseState.HELD, LeaseState.FROZEN, LeaseState.REVOKED],
        LeaseState.HELD: [LeaseState.NONE, LeaseState.FROZEN, LeaseState.REVOKED],
        LeaseState.FROZEN: [LeaseState.REVOKED],
        LeaseState.REVOKED: [],
    }
)


class AskingState(Enum):
    """
    Whether something is asked of the store for the sake of a lease.

    - C{IDLE}: nothing is due.
    - C{ASKING}: it is, or will be in this turn.
    - C{BACKING_OFF}: what was asked has failed; nothing is asked for some time.
    """

    IDLE = auto()
    ASKING = auto()
    BACKING_OFF = auto()


ASKING_TRANSITIONS: TransitionTable[AskingState] = TransitionTable(
    {
        AskingState.IDLE: [AskingState.ASKING],
        AskingState.ASKING: [AskingState.IDLE, AskingState.BACKING_OFF],
        AskingState.BACKING_OFF: [AskingState.IDLE],
    }
)
