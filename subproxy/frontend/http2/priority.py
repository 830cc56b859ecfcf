"""
Which stream goes first: the extensible priorities of RFC 9218, read tolerantly.

Urgency decides between streams that could send. Within one they take turns, frame by frame: all of
them, also those that did not say that they are incremental, because a proxy knows less than a
server of which one is worth finishing.
"""

from __future__ import annotations

import re
from typing import Final

from subproxy.core.http.request import Headers

DEFAULT_URGENCY: Final = 3
LEAST_URGENCY: Final = 7

_URGENCY = re.compile(rb"(?:^|,)[ \t]*u=([0-7])[ \t]*(?=$|[,;])")

MOST_VALUE: Final = 64
"""Bytes of a priority that is read; no client says more than C{u=7, i}."""


def urgency(value: bytes) -> int:
    """The urgency in C{value}, 0 for the most urgent; the default where it has none."""
    found = _URGENCY.findall(value[:MOST_VALUE])
    return int(found[-1]) if found else DEFAULT_URGENCY


def urgency_of(fields: Headers) -> int:
    """The urgency of a request with C{fields}."""
    for name, value in fields:
        if name == b"priority":
            return urgency(value)
    return DEFAULT_URGENCY
