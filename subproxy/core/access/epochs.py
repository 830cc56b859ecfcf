"""Which of several instances of an application is the one that counts.

The proxy keeps one subscription for each (identity, application, worker), a *line*:

- a newer instance replaces the older at once: a restarted VM does not wait for its own ghost;
- an instance that was once replaced never returns, even if the newer one is gone, unless its
  machine is started anew (C{forget}): what comes late is a delayed connection, or a VM restored
  from an old snapshot;
- the same instance connecting again replaces its own older connection.

What is newer is decided by who came first to say a new instance id; nothing that a guest says
of its own age is believed. The memory of retired instances is bounded for each identity, so a
guest that burns through ids makes only itself forgettable.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from subproxy.core.balancing.member import Member
from subproxy.wire.values import value_class

LINES: Final = 256
"""Applications x workers of one identity."""

RETIRED: Final = 1024
"""Retired instances that are remembered for one identity."""

FORGET: Final = 3600.0
"""Seconds after which an identity without subscription is forgotten, retired instances and all."""

Line = tuple[bytes, int]
"""(application, worker)"""


@value_class
class AcceptHello:
    """The member subscribes; C{replaced} is whose place it takes: close that connection."""

    replaced: Member | None


@value_class
class RefuseHello:
    """The member may not subscribe; C{code} is one of docs/protocol.md, C{reason} for a person."""

    code: str
    reason: str


class _Identity:
    __slots__ = ("current", "latest", "quiet_since", "retired")

    def __init__(self) -> None:
        self.current: dict[Line, Member] = {}
        """Who is subscribed."""
        self.latest: dict[Line, bytes] = {}
        """The instance that was accepted last, subscribed or not."""
        self.retired: OrderedDict[tuple[bytes, int, bytes], None] = OrderedDict()
        self.quiet_since = 0.0


class Epochs:
    """Decides on every C{hello}."""

    __slots__ = ("_identities", "_lines", "_quiet", "_retired", "_runs")

    def __init__(self, *, lines: int = LINES, retired: int = RETIRED) -> None:
        self._identities: dict[str, _Identity] = {}
        self._runs: dict[str, bytes] = {}
        self._quiet: dict[str, None] = {}
        """Identities without subscription, the longest quiet first."""
        self._lines = lines
        self._retired = retired

    def hello(self, member: Member) -> AcceptHello | RefuseHello:
        """Decide whether C{member} subscribes, and in whose place."""
        known = self._identities.get(member.identity)
        if known is None:
            known = _Identity()
        line = member.application, member.worker
        if (*line, member.instance) in known.retired:
            return RefuseHello("replaced", "a newer instance has taken this one's place")
        if line not in known.latest and not self._make_room(known):
            return RefuseHello(
                "quota",
                f"a virtual machine may have {self._lines} applications, each worker counted",
            )
        self._identities[member.identity] = known
        self._quiet.pop(member.identity, None)
        latest = known.latest.pop(line, None)
        known.latest[line] = member.instance
        if latest is not None and latest != member.instance:
            known.retired[(member.application, member.worker, latest)] = None
            if len(known.retired) > self._retired:
                known.retired.popitem(last=False)
        replaced = known.current.get(line)
        known.current[line] = member
        return AcceptHello(replaced)

    def gone(self, member: Member, now: float) -> None:
        """C{member} is no longer subscribed; if it was replaced before, nothing changes."""
        known = self._identities.get(member.identity)
        line = member.application, member.worker
        if known is None or known.current.get(line) is not member:
            return
        del known.current[line]
        if not known.current:
            known.quiet_since = now
            self._quiet[member.identity] = None

    def begin(self, identity: str, run: bytes) -> None:
        """
        The machine of C{identity} is started anew: whichever instance comes then is a new one.

        One restored from a snapshot has the instance of that, which may be retired by now. Who is
        subscribed stays so.

        @param run: what this run of it is called, for L{run}; empty: it is over.
        """
        if run:
            self._runs[identity] = run
        else:
            self._runs.pop(identity, None)
        known = self._identities.get(identity)
        if known is None:
            return
        if known.current:
            known.retired.clear()
            known.latest = {line: known.latest[line] for line in known.current}
        else:
            self._quiet.pop(identity, None)
            del self._identities[identity]

    def run(self, identity: str) -> bytes:
        """What the run of that machine is called; empty: whoever runs it has not told."""
        return self._runs.get(identity, b"")

    def expire(self, now: float) -> int:
        """Forget identities that are quiet for FORGET seconds; return how many."""
        forgotten = []
        for identity in self._quiet:
            if now - self._identities[identity].quiet_since < FORGET:
                break
            forgotten.append(identity)
        for identity in forgotten:
            del self._quiet[identity], self._identities[identity]
        return len(forgotten)

    def __len__(self) -> int:
        """Return how many identities are remembered."""
        return len(self._identities)

    def _make_room(self, known: _Identity) -> bool:
        """Tell whether one more line may be had; forget one that is not subscribed if need be."""
        if len(known.latest) < self._lines:
            return True
        for line in known.latest:
            if line not in known.current:
                del known.latest[line]
                return True
        return False
