"""
Lines of the access log, in either format, as data; and which of them somebody asked for. Pure.

A line of the combined format has no host: there the route says which hosts it may have been.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from subproxy.core.printable import printable

Data = dict[str, Any]

_COMBINED = re.compile(
    r'(?P<client>\S+) - - \[(?P<time>[^]]*)\] "(?P<request>[^"]*)" (?P<status>\d{3}) (?P<bytes>\d+)'
    r' "(?P<referer>[^"]*)" "(?P<user_agent>[^"]*)" (?P<id>\S+) "(?P<route>[^"]*)"'
    r' "(?P<subscriber>[^"]*)" (?P<first_byte>\S+) (?P<last_byte>\S+) (?P<error>\S+)'
)
_STATUS = re.compile(r"[1-5](?:[0-9]{2}|xx)")


def parsed(line: str) -> Data | None:
    """The fields of a line, by the names of the JSON format; None if it is no line of ours."""
    if line.startswith("{"):
        try:
            found = json.loads(line)
        except ValueError:
            return None
        return found if isinstance(found, dict) and isinstance(found.get("status"), int) else None
    match = _COMBINED.fullmatch(line)
    if match is None:
        return None
    data: Data = dict(match.groupdict())
    method, _, rest = data.pop("request").partition(" ")
    target, _, version = rest.partition(" HTTP/")
    data.update(method=method, target=target, version=version)
    data.update(status=int(data["status"]), bytes=int(data["bytes"]))
    data["first_byte"] = _seconds(data["first_byte"])
    data["last_byte"] = _seconds(data["last_byte"])
    data["error"] = None if data["error"] == "-" else data["error"]
    return data


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


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
