"""Which versions of HTTP a listener speaks, by what stands behind its port or endpoint."""

from __future__ import annotations

import re
from typing import Final

_OPTION: Final = re.compile(r"(?<!\\):http2=([^:]*)")


def split_versions(value: str) -> tuple[str, bool]:
    """
    What an operator wrote for a listener, without what it says of HTTP/2; and whether that is
    spoken there: not if it says C{:http2=off}, as in C{443:http2=off}.

    @raise ValueError: it says something else of HTTP/2, or more than once.
    """
    said = _OPTION.findall(value)
    if said and said != ["off"]:
        raise ValueError("of HTTP/2 a listener can say http2=off alone, once")
    return _OPTION.sub("", value), not said
