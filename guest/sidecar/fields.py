"""The fields of requests to a program, and of its responses: what a proxy must change in them."""

from __future__ import annotations

from subproxy.wire.fields import Headers

_DROPPED = frozenset(
    {b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade", b"connection"}
)
"""Fields of one connection (RFC 9110 section 7.6.1); no more than the proxy drops."""

_DROPPED_SIZES = frozenset(len(name) for name in _DROPPED)

_USUAL = frozenset({b"keep-alive", b"close"})
"""What C{Connection} mostly says: it nominates no field."""

_NEVER_NOMINATED = frozenset({b"content-length", b"content-type"})
"""Fields without which what follows is something else."""

_CONTENT = frozenset({b"POST", b"PUT", b"PATCH"})
"""Methods whose requests say that they have no content (RFC 9110 section 8.6)."""


def request_head(
    method: bytes,
    target: bytes,
    headers: Headers,
    *,
    authority: bytes,
    host: bytes | None = None,
    streamed: bool = False,
    size: int = 0,
    expect: bool = False,
    trailers: bool = False,
    upgrade: bytes | None = None,
) -> bytes:
    """
    The head of a request (RFC 9112 section 3), up to its empty line.

    C{Origin} and C{Referer} stay as they are, also where C{Host} does not: a program that compares
    them knows the name that its users see by C{X-Forwarded-Host}.

    @param headers: as the proxy sends them: no hop-by-hop fields.
    @param authority: C{Host}, where the client sent none.
    @param host: C{Host} in the place of the client's.
    @param streamed: the body comes in pieces. Without a C{Content-Length} it is chunked.
    @param size: bytes of the body, if it is not streamed.
    @param expect: the client sends its body when it is told to go on.
    @param trailers: the client takes trailers.
    @param upgrade: the protocol that it would rather speak.
    """
    asked: bytes | None = None
    forwarded = sized = False
    lines = [b"%b %b HTTP/1.1\r\nHost: " % (method, target), b""]
    for name, value in headers:
        length = len(name)
        if length == 4 and name.lower() == b"host":
            asked = value
            continue
        if length == 14 and name.lower() == b"content-length":
            sized = True
        elif length == 16 and name.lower() == b"x-forwarded-host":
            forwarded = True
        lines.append(b"%b: %b\r\n" % (name, value))
    lines[1] = (host or asked or authority) + b"\r\n"
    if host is not None and asked and not forwarded:
        lines.append(b"X-Forwarded-Host: " + asked + b"\r\n")
    if streamed and not sized:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif not streamed and not sized and (size or method in _CONTENT):
        lines.append(b"Content-Length: %d\r\n" % size)
    if expect:
        lines.append(b"Expect: 100-continue\r\n")
    if upgrade is not None:
        lines.append(b"Connection: Upgrade\r\nUpgrade: " + upgrade + b"\r\n")
    elif trailers:
        lines.append(b"TE: trailers\r\nConnection: TE\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def has_length(headers: Headers) -> bool:
    """Whether the length of a message is told."""
    return any(len(name) == 14 and name.lower() == b"content-length" for name, _ in headers)


def end_to_end(headers: Headers) -> Headers:
    """The fields of a response that go on: not those of the connection, nor what it nominates."""
    kept: Headers = []
    nominated: set[bytes] = set()
    for pair in headers:
        name = pair[0]
        if len(name) in _DROPPED_SIZES:
            lowered = name.lower()
            if lowered in _DROPPED:
                if lowered == b"connection" and pair[1].lower() not in _USUAL:
                    nominated.update(each.strip(b" \t") for each in pair[1].lower().split(b","))
                continue
        kept.append(pair)
    if nominated:
        nominated -= _NEVER_NOMINATED
        kept = [pair for pair in kept if pair[0].lower() not in nominated]
    return kept


def chunk(data: bytes) -> bytes:
    """One chunk of a body (RFC 9112 section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Headers) -> bytes:
    """The end of a chunked body."""
    lines = [b"%b: %b\r\n" % pair for pair in trailers]
    return b"".join([b"0\r\n", *lines, b"\r\n"])
