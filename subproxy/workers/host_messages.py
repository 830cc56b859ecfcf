"""What a parent says to its workers of other hosts; see L{subproxy.workers.messages}."""

from __future__ import annotations

from dataclasses import dataclass

from subproxy.workers.messages import ChannelMessage, message


@message
@dataclass(frozen=True, slots=True)
class PassedHost(ChannelMessage):
    """A host has dialled: its connection, the one descriptor, and C{payload}, what was read."""


@message
@dataclass(frozen=True, slots=True)
class PeerHostCame(ChannelMessage):
    """Host C{name} may ask, and is to be dialled at C{address}."""

    name: str
    address: str


@message
@dataclass(frozen=True, slots=True)
class PeerHostLeft(ChannelMessage):
    """It is to be dialled no more."""

    name: str


@message
@dataclass(frozen=True, slots=True)
class HostRoutes(ChannelMessage):
    """
    What the store says of host C{name}, or the parent of this one (C{name} is empty): routes, as
    C{Route.words} has them.

    @ivar serves: those that guests of it serve from now on.
    @ivar wakes: those for which it would start a machine.
    @ivar withdrawn: those that it has no more.
    """

    name: str
    serves: list[list[str]]
    wakes: list[list[str]]
    withdrawn: list[list[str]]
