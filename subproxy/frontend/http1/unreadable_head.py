"""What can be told of a head that can't be made a request of: for the log alone."""

from __future__ import annotations

import re

from subproxy.core.http.fields import TOKEN
from subproxy.core.http.normalise import normalise_host
from subproxy.core.http.request import Headers, RequestHead
from subproxy.core.http.request_rules import check_host
from subproxy.errors import BadRequest

_SHOWN = 256
"""Bytes that are told of what is no request line, and of one that is too long for any target."""

_LONGEST = 8192
"""Bytes of a request line that is told whole."""

_LOOKED_AT = 65_536
"""Bytes in which fields are looked for."""

_VERSION = re.compile(rb"HTTP/([0-9]\.[0-9])\Z")
_TOLD = re.compile(rb"\n(Host|User-Agent|Referer)[ \t]*:[ \t]*([^\r\n]{0,1024})", re.IGNORECASE)


def unreadable(data: bytes, client: bytes, request_id: bytes) -> RequestHead:
    """
    What can be told of a head that can't be made a request of: C{data} begins with it.

    For the log alone, so it is read leniently. Method and version are empty where there are none,
    and the target is then what came in their place. Of the fields there are Host, User-Agent and
    Referer, the first of each.
    """
    head = data[:_LOOKED_AT].partition(b"\r\n\r\n")[0].partition(b"\n\n")[0]
    line = head.partition(b"\r\n")[0].partition(b"\n")[0]
    if len(line) > _LONGEST:
        line = line[:_SHOWN]
    method, space, target = line.partition(b" ")
    if not space or not method or len(method) > 32 or method.translate(None, TOKEN):
        return RequestHead(
            b"", line[:_SHOWN], b"", b"", [], client, version=b"", request_id=request_id
        )
    version = b""
    before, _, protocol = target.rpartition(b" ")
    found = _VERSION.match(protocol)
    if found is not None:
        target, version = before, found[1]
    fields: dict[bytes, bytes] = {}
    for name, value in _TOLD.findall(head, len(line)):
        fields.setdefault(name.lower(), value.rstrip(b" \t"))
    headers: Headers = list(fields.items())
    return RequestHead(
        method,
        target,
        _host(fields.get(b"host", b"")),
        b"",
        headers,
        client,
        version=version,
        request_id=request_id,
    )


def _host(host: bytes) -> bytes:
    """C{host} as the log has it of good requests, or as it came."""
    try:
        check_host(host)
    except BadRequest:
        return host
    return normalise_host(host) or host
