"""
The framing of HTTP/1 requests: the request line, the sizes, where a body ends, who closes.

Pure: bytes in, a L{ValidatedRequest} or a L{ClientError} out. llhttp has parsed the fields; this
is where the rules are that it does not have. What holds in any version is in
L{subproxy.core.http.request_rules}. After an error from here the connection is closed: the
framing of what follows can't be trusted.

RFC 9112 sections 3 (request line, Host), 5 (fields), 6 (framing) and 9.3 (persistence).

Compiled a second time: L{subproxy.fastpath._request_head} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

import re

from subproxy.core.http.fields import METHODS, METHODS_REFUSED, TARGET, TOKEN
from subproxy.core.http.forwarded import Peer
from subproxy.core.http.request import Headers, RequestHead
from subproxy.core.http.request_rules import RequestRules, content_length
from subproxy.core.http.upgrade import Upgrade, requested_upgrade
from subproxy.errors import BadRequest, ClientError
from subproxy.frontend.http1.version import VERSIONS, Http1Version
from subproxy.frontend.limits import HttpLimits
from subproxy.wire.values import record_class

_FORM_ORIGIN = b"/"

_HTTP_VERSION = re.compile(rb"HTTP/([0-9]\.[0-9])")

_AROUND = 32
"""Bytes that a method may have, and what is behind a target."""


@record_class
class ValidatedRequest:
    """
    A request that passed the validator.

    @ivar head: what a guest may see of it.
    @ivar version: that of the client.
    @ivar keep_alive: the client wants the connection to stay.
    @ivar for_us: no guest is asked, but the proxy itself.
    @ivar nominated: what C{Connection} said to be of this connection alone, in lower case: dropped
        also where it is a trailer.
    """

    head: RequestHead
    version: Http1Version
    keep_alive: bool
    for_us: bool
    nominated: frozenset[bytes]


class RequestValidator:
    """
    Checks requests of HTTP/1.

    @param limits: the sizes.
    @param rules: what they must be in any version.
    """

    def __init__(self, limits: HttpLimits | None = None, rules: RequestRules | None = None) -> None:
        self.limits = limits or HttpLimits()
        self.rules = rules or RequestRules()

    def check_partial(self, data: bytes, scanned: int) -> None:
        """
        Check a head that is not complete: does it still have a chance?

        @param data: all of it so far, without empty lines in front.
        @param scanned: how much of it an earlier call has seen.
        @raise ClientError: it can never become a good request.
        """
        if data == b"\r":
            return
        line, whole, _ = data.partition(b"\r\n")
        self._check_size(line)
        if len(data) > self.limits.head:
            raise ClientError("the request head is too large", 431)
        if whole:
            if scanned < len(line) + 2:
                self.check_line(line)
        elif data[:1].translate(None, TOKEN) or b"\n" in data or b"\0" in data:
            raise BadRequest("this is not an HTTP request")
        if data.count(b"\n", scanned) != data.count(b"\r\n", max(0, scanned - 1)):
            raise BadRequest("a line does not end in CR LF")

    def check_line(self, line: bytes) -> tuple[bytes, bytes, bytes]:
        """
        Take a request line apart.

        @return: method, target, version.
        @raise ClientError: it is not a request line, or not one that is served.
        """
        self._check_size(line)
        parts = line.split(b" ")
        if len(parts) != 3:
            raise BadRequest("the request line is not a method, a target and a version")
        method, target, protocol = parts
        if not method or method.translate(None, TOKEN):
            raise BadRequest("the method is not a token")
        named = _HTTP_VERSION.fullmatch(protocol)
        if named is None:
            raise BadRequest("the request line does not end in an HTTP version")
        version = named[1]
        if version not in VERSIONS:
            raise ClientError("only HTTP/1.0 and HTTP/1.1 are spoken here", 505)
        if method not in METHODS:
            if method in METHODS_REFUSED:
                raise ClientError("this method is not allowed", 405)
            raise ClientError("this method is not known", 501)
        if not target or target.translate(None, TARGET):
            raise BadRequest("the request target holds what may not stand there")
        return method, target, version

    def check_head(self, size: int, fields: int) -> None:
        """
        Check the sizes of a whole head.

        @raise ClientError: it is too large.
        """
        if size > self.limits.head or fields > self.limits.fields:
            raise ClientError("the request head is too large", 431)

    def check_request(
        self, method: bytes, target: bytes, version: bytes, fields: Headers, peer: Peer
    ) -> ValidatedRequest:
        """
        Check a request and rewrite it.

        @param method: from L{check_line}, as are C{target} and C{version}.
        @param fields: the fields, each well-formed by itself, without white space around values.
        @raise ClientError: the request is refused.
        """
        rules, http = self.rules, VERSIONS[version]
        kept, host, length, coding, options, expect, request_id, hops, sent, trailers = (
            rules.sort_fields(method, fields, peer)
        )
        nominated: frozenset[bytes] = frozenset()
        upgrade: Upgrade | None = None

        # Framing (RFC 9112 section 6).
        size: int | None = 0
        if coding is not None:
            if length is not None:
                raise BadRequest("both Content-Length and Transfer-Encoding")
            if not http.chunked:
                raise BadRequest("Transfer-Encoding in HTTP/1.0")
            if coding.lower() != b"chunked":
                raise _bad_coding(coding)
            size = None
        elif length is not None:
            size = content_length(length)

        # The connection (section 9.3).
        keep_alive = http.persistent
        if options is not None:
            if b"close" in options:
                keep_alive = False
            elif b"keep-alive" in options:
                keep_alive = True
            nominated = frozenset(options) - _OWN_OPTIONS
            if nominated:
                kept = [pair for pair in kept if pair[0].lower() not in nominated]
            if b"upgrade" in options and http.interim:
                # RFC 9110 section 7.8: of HTTP/1.0, and where it is not an option, it is ignored.
                upgrade = requested_upgrade(method, fields, size)

        # Target and host (section 3.2). A Host is needed, also where the target has an authority.
        if host is None and http.needs_host:
            raise BadRequest("no Host")
        misdirected = False
        if target[:1] != _FORM_ORIGIN:
            protected = peer.scheme == b"https" or peer.trusted
            misdirected = not protected and target[:6].lower() == b"https:"
            target, authority = _other_form(method, target)
            if authority is not None:
                if host is not None and host.lower() != authority.lower():
                    raise BadRequest("the authority of the target is not the Host")
                host = authority
        head = rules.request_head(
            method,
            target,
            host,
            kept,
            size,
            peer,
            version,
            expect if http.interim else None,
            request_id,
            sent,
            misdirected,
            trailers and http.chunked,
        )
        head.upgrade = upgrade
        return ValidatedRequest(head, http, keep_alive, target == b"*" or hops == 0, nominated)

    def _check_size(self, line: bytes) -> None:
        """C{line} may be the beginning of one."""
        limit = self.limits.target
        if len(line) <= limit:
            return
        method, _, rest = line.partition(b" ")
        if len(method) > _AROUND or method.translate(None, TOKEN):
            raise BadRequest("the method is too long")
        if len(rest.partition(b" ")[0]) > limit:
            raise ClientError("the request target is too long", 414)
        if len(line) > limit + 2 * _AROUND:
            raise BadRequest("the request line is too long")


_OWN_OPTIONS = frozenset({b"close", b"keep-alive", b"upgrade", b"te", b"", b"host"})


def _other_form(method: bytes, target: bytes) -> tuple[bytes, bytes | None]:
    """C{target} in origin-form, or C{*}; and its authority, not yet checked, if it has one."""
    if target == b"*":
        if method != b"OPTIONS":
            raise BadRequest("the target * is for OPTIONS alone")
        return target, None
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise BadRequest("the request target is neither a path nor a URL")
    for end, byte in enumerate(rest):
        if byte in b"/?":
            authority, path = rest[:end], rest[end:]
            break
    else:
        authority, path = rest, b""
    if path[:1] != b"/":
        path = b"*" if method == b"OPTIONS" and not path else b"/" + path
    return path, authority


def _bad_coding(value: bytes) -> ClientError:
    codings = [part.strip(b" \t") for part in value.lower().split(b",")]
    if codings[-1] != b"chunked" or b"chunked" in codings[:-1]:
        return BadRequest("the last transfer coding, and no other, has to be chunked")
    if all(part and not part.translate(None, TOKEN) for part in codings):
        return ClientError("the only transfer coding is chunked", 501)
    return BadRequest("Transfer-Encoding is malformed")
