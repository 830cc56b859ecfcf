"""
Conditional requests (RFC 9110, section 13) and ranges (section 14) for files.

One range is served; of several none is (section 14.2 allows that). Imports no framework.
"""

from __future__ import annotations

import re

from guest.core.files import FileBody
from guest.core.request import Request
from guest.core.response import Response

_RANGE = re.compile(rb"bytes=[ \t]*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))[ \t]*")
_ENTITY_TAG = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def apply_conditionals(request: Request, response: Response, body: FileBody) -> None:
    """Make of a response with status 200 and all of a file what C{request} asks for."""
    method = request.method
    if response.status == 200 and method in (b"GET", b"HEAD"):
        status = _precondition(request, body)
        if status is not None:
            response.status = status
            if status == 412:
                body.stop = body.start
        elif method == b"GET" and _in_range(request, body):
            _range(request, response, body)
    if response.status != 304:
        response.headers.append((b"content-length", b"%d" % len(body)))


def _precondition(request: Request, body: FileBody) -> int | None:
    """The status that ends it, in the order of RFC 9110, section 13.2.2."""
    match = _values(request, b"if-match")
    if match is not None:
        if not _among(body.etag, match, weak=False):
            return 412
    else:
        since = _date(request.header(b"if-unmodified-since"))
        if since is not None and body.modified > since:
            return 412
    none = _values(request, b"if-none-match")
    if none is not None:
        if _among(body.etag, none, weak=True):
            return 304
    else:
        since = _date(request.header(b"if-modified-since"))
        if since is not None and body.modified <= since:
            return 304
    return None


def _in_range(request: Request, body: FileBody) -> bool:
    """Whether C{If-Range}, if it is there, holds (RFC 9110, section 13.1.5)."""
    value = request.header(b"if-range")
    if not value:
        return True
    if value.startswith((b'"', b"W/")):
        return value == body.etag
    return _date(value) == body.modified


def _range(request: Request, response: Response, body: FileBody) -> None:
    values = _values(request, b"range")
    found = _RANGE.fullmatch(values) if values is not None else None
    if found is None:
        return
    first, last, suffix = found.groups()
    if suffix is not None:
        start, stop = max(0, body.size - int(suffix)), body.size
    else:
        start = int(first)
        stop = min(body.size, int(last) + 1) if last else body.size
        if last and int(last) < start:
            return  # no range at all (section 14.1.1)
    if start >= stop:
        response.status = 416
        response.headers.append((b"content-range", b"bytes */%d" % body.size))
        body.stop = body.start
        return
    response.status = 206
    response.headers.append((b"content-range", b"bytes %d-%d/%d" % (start, stop - 1, body.size)))
    body.start, body.stop = start, stop


def _values(request: Request, name: bytes) -> bytes | None:
    """The values of all fields of that name; None if there are none."""
    found = [value for each, value in request.headers if each.lower() == name]
    return b", ".join(found) if found else None


def _among(etag: bytes, tags: bytes, weak: bool) -> bool:
    """Whether C{etag}, a strong one, is one of a list of entity tags (section 8.8.3.2)."""
    if tags.strip() == b"*":
        return True
    return any(
        each == etag or (weak and each == b"W/" + etag) for each in _ENTITY_TAG.findall(tags)
    )


def _date(value: bytes) -> int | None:
    """An HTTP date as seconds since the epoch; None if it is none."""
    from email.utils import parsedate_to_datetime  # a cold start does without it

    try:
        return int(parsedate_to_datetime(value.decode("ascii")).timestamp()) if value else None
    except (ValueError, TypeError, OverflowError):
        return None
