"""The target of a request without the beginning of its path."""

from __future__ import annotations

from subproxy.core.http.normalise import normalise_path
from subproxy.core.http.request import Headers, RequestHead

PREFIX_FIELD = b"X-Forwarded-Prefix"
"""What tells an application where it stands, as Traefik and Spring have it."""


def without_prefix(request: RequestHead, prefix: bytes) -> bytes | None:
    """
    The target of C{request} without C{prefix}; None if its path is not below that.

    What is cut off is what the path means, whatever way it was written: C{/%61pi/x} and
    C{/a/../api/x} are below C{/api}, and C{/api/../x} is not. What was not written the plain way
    goes on in its normal form, as far as that is needed.

    @param prefix: a normalised path without final slash.
    """
    path = request.path
    if path != prefix and not path.startswith(prefix + b"/"):
        return None
    rest = path[len(prefix) :] or b"/"
    sent, mark, query = request.target.partition(b"?")
    # A sign may be longer in normal form: what is behind as many bytes may begin with dots then.
    if sent.startswith(prefix + b"/") and normalise_path(sent[len(prefix) :]) == rest:
        rest = sent[len(prefix) :]  # as it was written
    if rest[:2] == b"//":
        rest = b"/" + rest.lstrip(b"/")
    return rest + mark + query


def with_prefix(headers: Headers, prefix: bytes) -> Headers:
    """The fields, with the one that tells of C{prefix}, behind what a trusted proxy told."""
    name = PREFIX_FIELD.lower()
    told = [value for other, value in headers if other.lower() == name]
    before = told[-1].rstrip(b"/") if told else b""
    kept = [pair for pair in headers if pair[0].lower() != name]
    kept.append((PREFIX_FIELD, before + prefix))
    return kept
