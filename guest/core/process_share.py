"""
The share that one subscription has of an instance, where a proxy has several processes
(docs/protocol.md, "Several processes of a proxy").

An instance opens min(processes, concurrency) subscriptions, one with each process, and divides its
concurrency among them: together they get no more than it takes. How many processes there are, the
first C{welcome} tells. Until then an instance that has something to divide registers nothing: what
it said of its concurrency holds for one subscription, and that is left for divided ones.
"""

from __future__ import annotations

from guest.core.errors import SubscriptionEnded
from subproxy.wire import info as wire_info
from subproxy.wire.fields import Info


class SubscriptionDivided(SubscriptionEnded):
    """The proxy has several processes: others take the place of this subscription, at once."""


class ProcessShare:
    """
    What one subscription is.

    @ivar process: of the proxy, with which it is; None: there is but one, or nobody knows.
    @ivar index: which of the instance's subscriptions it is, from 0.
    @ivar among: how many these are; 0: nobody knows.
    """

    def __init__(self, process: int | None = None, index: int = 0, among: int = 0) -> None:
        self.process = process
        self.index = index
        self.among = among
        self._epoch: bytes | None = None

    def __repr__(self) -> str:
        return f"<ProcessShare {self.index} of {self.among}, process {self.process}>"

    def of(self, concurrency: int) -> int:
        """Its part of a concurrency; 0 is no limit."""
        if self.among <= 1:
            return concurrency
        return concurrency // self.among + (self.index < concurrency % self.among)

    def hello(self, info: Info) -> Info:
        """What C{hello} says, where C{info} is what a sole subscription would."""
        said = {**info, b"concurrency": self.of(info.get(b"concurrency", 0))}
        if self.process is not None:
            said[b"process"] = self.process
        return said

    def waits(self, concurrency: int) -> bool:
        """Whether it registers nothing before it knows how many processes there are."""
        return not self.among and concurrency > 1

    def restored(self, welcome: Info) -> bytes | None:
        """The epoch that C{welcome} tells, if it was another one before: see L{wire_info.epoch}."""
        before, self._epoch = self._epoch, wire_info.epoch(welcome)
        return self._epoch if before is not None and self._epoch != before else None

    def welcomed(self, welcome: Info, concurrency: int) -> bool:
        """
        Take what C{welcome} says.

        @return: whether this connection is to be left, because its concurrency is another one now.
        """
        process, processes = wire_info.process(welcome)
        among = min(processes, concurrency) if concurrency else processes
        before, self.among = self.among, among
        self.process = process if among > 1 else None
        return concurrency > 1 and among != max(before, 1)
