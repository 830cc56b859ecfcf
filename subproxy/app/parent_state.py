"""
What the parent leaves to its next program, in the same process: a memory file, and descriptors.

C{SUBPROXY_PARENT} names the file. Whatever it tells of stays open over C{execve}.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from typing import Any

VARIABLE = "SUBPROXY_PARENT"

TRIAL = "SUBPROXY_TRIAL"
"""Set where a program is only to try whether it would start: what is listened on, in JSON."""


@dataclass
class ParentState:
    """
    All numbers of descriptors are the same in both programs.

    @ivar serial: of the worker that was made last.
    @ivar workers: see C{Crew.data}.
    @ivar guests: see C{GuestTable.data}.
    @ivar lapsed: routes that wait for their guests, see C{LapsedRoutes.data}.
    @ivar assigned: what an operator has said of subscribers, as C{Assigned.plain} has it.
    @ivar clients: the listening sockets for clients, by place; C{names}: those to be removed.
    @ivar listeners: those for guests, as C{InheritedSockets} reads them.
    @ivar greetings: connections of guests that have not said what they are: descriptor, identity,
        and what they said, as latin-1.
    @ivar templates: processes that end when their last worker has.
    @ivar machines: those that run, see C{MachineManager.data}.
    @ivar tickets: keys of TLS sessions, see C{TicketKeyRing.data}.
    @ivar cluster: what is known of other hosts, see C{ClusterTable.data}.
    @ivar pidfile: the path of our pid file; empty if there is none.
    """

    serial: int = 0
    workers: list[list[Any]] = field(default_factory=list)
    guests: dict[str, Any] = field(default_factory=dict)
    lapsed: list[list[Any]] = field(default_factory=list)
    assigned: dict[str, Any] = field(default_factory=dict)
    clients: dict[str, list[int]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    listeners: dict[str, Any] = field(default_factory=dict)
    greetings: list[list[Any]] = field(default_factory=list)
    templates: list[int] = field(default_factory=list)
    machines: list[dict[str, Any]] = field(default_factory=list)
    tickets: list[Any] = field(default_factory=list)
    cluster: list[list[str]] = field(default_factory=list)
    pidfile: str = ""

    def descriptors(self) -> list[int]:
        """All that it tells of."""
        found = [worker[-1] for worker in self.workers]
        found += [each for sockets in self.clients.values() for each in sockets]
        found += [each[0] for each in self.listeners.get("files", {}).values()]
        found += self.listeners.get("ports", {}).values()
        found += [each[0] for each in self.greetings]
        return found

    def write(self) -> int:
        """A memory file that tells of all, which stays open with the rest; its descriptor."""
        file = os.memfd_create("subproxy-parent", 0)
        with open(file, "wb", closefd=False) as writing:
            writing.write(json.dumps(asdict(self)).encode())
        for each in self.descriptors():
            os.set_inheritable(each, True)
        return file

    @classmethod
    def of_environment(cls) -> ParentState | None:
        """What C{SUBPROXY_PARENT} names, which children of ours must not inherit; None: nothing."""
        number = os.environ.pop(VARIABLE, "")
        if not number.isdecimal():
            return None
        with open(int(number), "rb") as file:
            file.seek(0)
            left = json.load(file)
        # Another version may have left what this one does not know.
        found = cls(**{each.name: left[each.name] for each in fields(cls) if each.name in left})
        for each in found.descriptors():
            os.set_inheritable(each, False)
        return found
