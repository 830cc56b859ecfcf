"""
Which processes of two hosts have a connection with each other.

Each process that asks has to be dialled by one of the other host, and each that serves is to take
its share: so process C{p} of C{P} dials process C{p mod Q} of C{Q}, and all those of which the
remainder by C{P} is C{p}.
"""

from __future__ import annotations

from dataclasses import dataclass

_NAME = "process-"


@dataclass(frozen=True, slots=True)
class ProcessPlace:
    """
    Which process of its host this is.

    @ivar process: from 0.
    @ivar processes: how many there are.
    """

    process: int = 0
    processes: int = 1

    def dials(self, processes: int) -> list[int]:
        """
        The processes that it dials of a host that has so many; itself, by number, comes first.

        Who is asked for a process that a host does not have takes the remainder.
        """
        more = range(self.process, processes, self.processes)
        return [self.process, *(each for each in more if each != self.process)]


def server_name(process: int, host: str) -> bytes:
    """What a host is called (SNI) that is dialled for one of its processes."""
    return f"{_NAME}{process}.{host}".encode("ascii")


def process_wanted(name: bytes | None) -> int:
    """Which process somebody dials who has said C{name}; 0 if he does not say."""
    label = (name or b"").partition(b".")[0].decode("latin-1")
    number = label.removeprefix(_NAME)
    return int(number) if number != label and number.isdecimal() and len(number) < 6 else 0
