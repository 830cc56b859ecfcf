"""What workers and their parent say of data connections; see L{subproxy.workers.messages}."""

from __future__ import annotations

from dataclasses import dataclass

from subproxy.workers.messages import ChannelMessage, message


@message
@dataclass(frozen=True, slots=True)
class PeerDataWanted(ChannelMessage):
    """A worker that answers for another one would like a data connection to it: C{serial}."""

    serial: int


@message
@dataclass(frozen=True, slots=True)
class PeerData(ChannelMessage):
    """There it is, the one descriptor; without one, worker C{serial} is gone."""

    serial: int
