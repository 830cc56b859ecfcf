"""
Answers to the challenges of certificate authorities: by them a host is shown to be ours.

RFC 8555 section 8.3 (http-01). They come before all rules of sites: whoever validates comes from
anywhere, by http, and knows no redirect that leads away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from subproxy.core.http.request import Headers
from subproxy.core.sites.redirect import CHALLENGES, is_challenge

_TOKEN: Final = re.compile(rb"[A-Za-z0-9_-]{1,255}")

ChallengeFinder = Callable[[bytes], bytes | None]
"""The key authorization of a token; None if it is not known."""

FIELDS: Final[Headers] = [
    (b"Content-Type", b"application/octet-stream"),
    (b"Cache-Control", b"no-store"),
]


def challenge_answer(
    finders: Iterable[ChallengeFinder], method: bytes, path: bytes
) -> bytes | None:
    """
    The body of the answer to a request; None if it asks for no challenge that is known: then it is
    a request like any other.

    @param path: in its normal form.
    """
    if not is_challenge(path) or method not in (b"GET", b"HEAD"):
        return None
    token = path[len(CHALLENGES) :]
    if not _TOKEN.fullmatch(token):
        return None
    for find in finders:
        found = find(token)
        if found is not None:
            return found
    return None
