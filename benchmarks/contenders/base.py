"""The one interface of all contenders."""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass

from ..rig import Rig, descendants


@dataclass
class Server:
    """A contender that answers requests: where, and which processes count."""

    port: int
    process: subprocess.Popen[bytes]
    rig: Rig

    def pids(self) -> list[int]:
        """The counted processes: the started one and all that descend from it."""
        return descendants(self.process.pid)

    def behind(self) -> list[int]:
        """The processes that are not counted: backends and guests."""
        counted = self.pids()
        return [pid for pid in self.rig.pids() if pid not in counted]


class Contender(ABC):
    """Something that answers HTTP requests and whose CPU time is measured."""

    name: str
    """Its key: in options, raw figures and tables of files."""
    title: str
    """What a reader of the tables sees."""
    proxies: bool = True
    """Whether an upstream is behind it; the echoes and the floor have none."""

    keeps_connections: bool = True
    """Whether a client may use a connection again: the load asks for no keep-alive where not."""

    @abstractmethod
    def missing(self) -> str | None:
        """What this machine lacks to run it, in a few words, or None."""

    @abstractmethod
    def start(self, rig: Rig) -> Server:
        """Starts it, and what is behind it; returns when it answers. Raises C{NotStarted}."""

    def version(self) -> str:
        """The version that is measured."""
        return ""
