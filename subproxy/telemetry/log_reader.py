"""
Lines of the access log, in either format, as data. Pure.

A line of the combined format has no host: there the route says which hosts it may have been.
"""

from __future__ import annotations

import json
import re
from typing import Any

Data = dict[str, Any]

_COMBINED = re.compile(
    r'(?P<client>\S+) - - \[(?P<time>[^]]*)\] "(?P<request>[^"]*)" (?P<status>\d{3}) (?P<bytes>\d+)'
    r' "(?P<referer>[^"]*)" "(?P<user_agent>[^"]*)" (?P<id>\S+) "(?P<route>[^"]*)"'
    r' "(?P<subscriber>[^"]*)" (?P<first_byte>\S+) (?P<last_byte>\S+) (?P<error>\S+)'
)


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
