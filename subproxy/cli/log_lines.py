"""Which lines of the access log somebody asked for. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from subproxy.core.printable import printable

Data = dict[str, Any]

_STATUS = re.compile(r"[1-5](?:[0-9]{2}|xx)")


def statuses(text: str) -> list[str]:
    """
    What C{--status} says: C{404}, C{5xx}, or several with commas.

    @raise ValueError: it is none of that.
    """
    found = [each.strip().lower() for each in text.split(",")]
    for each in found:
        if not _STATUS.fullmatch(each):
            raise ValueError(
                f"{printable(each)!r} is no status: 404, or 5xx, or several with commas"
            )
    return found


@dataclass(frozen=True, slots=True)
class LogFilter:
    """
    Which lines are wanted; what is empty wants all.

    @ivar host: of the request; in the combined format, one that its route serves.
    @ivar status: of L{statuses}.
    @ivar guest: part of the identity of a VM.
    """

    host: str = ""
    status: tuple[str, ...] = ()
    guest: str = ""

    def wants(self, data: Data, serves: Callable[[str, str], bool]) -> bool:
        """
        Decide on one line.

        @param serves: whether a pattern of a host serves a host.
        """
        if self.host:
            if "host" in data:
                if str(data["host"]).partition(":")[0].lower() != self.host.lower():
                    return False
            elif not serves(str(data["route"]).partition(" ")[0], self.host.lower()):
                return False
        if self.guest and self.guest not in str(data["subscriber"]):
            return False
        text = str(data["status"])
        return not self.status or text in self.status or f"{text[0]}xx" in self.status
