"""
The strict validator: what is ambiguous is refused, what passes is rewritten from parsed parts.

Pure: bytes in, a L{RequestHead} or a L{ClientError} out. llhttp has parsed the fields; this
is where the rules are that it does not have. After an error from here the connection is
closed: the framing of what follows can't be trusted.

RFC 9112 sections 3 (request line, Host), 5 (fields), 6 (framing); RFC 9110 sections 7.6
(forwarding) and 10.1.1 (Expect).

Compiled a second time: L{subproxy.fastpath._request_head} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from dataclasses import dataclass

from subproxy.core.exchange import RequestHead
from subproxy.core.http.fields import (
    DIGITS,
    FORWARDING,
    FORWARDING_DROPPED,
    FORWARDING_PREFIX,
    HOP_BY_HOP,
    MAX_LENGTH,
    METHODS,
    METHODS_REFUSED,
    NOT_IN_TRAILERS,
    REQUEST_ID,
    TARGET,
    TOKEN,
    VERSIONS,
)
from subproxy.core.http.forwarded import Forwarding, Peer
from subproxy.core.http.normalise import (
    host_fault,
    normalise_host,
    normalise_path,
    request_path_fault,
)
from subproxy.core.http.request_id import RequestIds, acceptable
from subproxy.errors import BadRequest, ClientError
from subproxy.frontend.limits import HttpLimits

Headers = list[tuple[bytes, bytes]]

_MAX_REMEMBERED = 2048
_LONGEST_REMEMBERED = 64
"""Bytes of a field name that is remembered: no name in use is longer, and a client can say many."""

# What becomes of a field.
_KEEP, _HOST, _LENGTH, _CODING, _CONNECTION, _EXPECT, _ID, _HOPS, _DROP = range(9)
_SET, _CLAIMED = 9, 10  # forwarding fields that the proxy sets, and that it only may pass on

_SPECIAL = {
    **dict.fromkeys(HOP_BY_HOP, _DROP),
    **dict.fromkeys(FORWARDING, _SET),
    **dict.fromkeys(FORWARDING_DROPPED, _CLAIMED),
    b"host": _HOST,
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"connection": _CONNECTION,
    b"expect": _EXPECT,
    b"max-forwards": _HOPS,
    REQUEST_ID: _ID,
}

_FORM_ORIGIN = b"/"

_AROUND = 32
"""Bytes that a method may have, and what is behind a target."""


@dataclass(slots=True)
class ValidatedRequest:
    """
    A request that passed the validator.

    @ivar head: what a guest may see of it.
    @ivar keep_alive: the client wants the connection to stay.
    @ivar for_us: no guest is asked, but the proxy itself.
    @ivar nominated: what C{Connection} said to be of this connection alone, in lower case: dropped
        also where it is a trailer.
    """

    head: RequestHead
    keep_alive: bool
    for_us: bool = False
    nominated: frozenset[bytes] = frozenset()


class RequestValidator:
    """
    Checks requests.

    @param limits: the sizes.
    @param forwarding: what is told about the client, and who is trusted to tell it.
    @param ids: where request ids come from.
    """

    def __init__(
        self,
        limits: HttpLimits | None = None,
        forwarding: Forwarding | None = None,
        ids: RequestIds | None = None,
    ) -> None:
        self.limits = limits or HttpLimits()
        self.forwarding = forwarding or Forwarding()
        self.ids = ids or RequestIds()
        self._kinds: dict[bytes, int] = {}
        self._hosts: dict[bytes, bytes] = {}

    def check_partial(self, data: bytes, scanned: int) -> None:
        """
        Check a head that is not complete: does it still have a chance?

        @param data: all of it so far, without empty lines in front.
        @param scanned: how much of it an earlier call has seen.
        @raise ClientError: it can never become a good request.
        """
        if data == b"\r":
            return
        line_end = data.find(b"\r\n")
        line = data if line_end < 0 else data[:line_end]
        self._check_size(line)
        if len(data) > self.limits.head:
            raise ClientError("the request head is too large", 431)
        if line_end >= 0:
            if scanned < line_end + 2:
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
        if protocol[:5] != b"HTTP/" or not _is_version(protocol[5:]):
            raise BadRequest("the request line does not end in an HTTP version")
        version = protocol[5:]
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
        kinds = self._kinds
        kept: Headers = []
        host: bytes | None = None
        length: bytes | None = None
        coding: bytes | None = None
        options: list[bytes] | None = None
        expect: bytes | None = None
        request_id: bytes | None = None
        hops: int | None = None
        nominated: frozenset[bytes] = frozenset()
        sent: Headers = []
        for pair in fields:
            name = pair[0]
            kind = kinds.get(name)
            if kind is None:
                kind = self._kind(name)
            if kind == _KEEP:
                kept.append(pair)
            elif kind == _HOST:
                if host is not None:
                    raise BadRequest("more than one Host")
                host = pair[1]
            elif kind == _LENGTH:
                if length is not None:
                    raise BadRequest("more than one Content-Length")
                length = pair[1]
            elif kind == _CODING:
                if coding is not None:
                    raise BadRequest("more than one Transfer-Encoding")
                coding = pair[1]
            elif kind == _CONNECTION:
                options = options or []
                options.extend(option.strip(b" \t") for option in pair[1].lower().split(b","))
            elif kind == _EXPECT:
                expect = pair[1] if expect is None else expect + b"," + pair[1]
            elif kind == _ID:
                request_id = pair[1]
            elif kind == _HOPS:
                if method == b"OPTIONS":
                    if hops is not None:
                        raise BadRequest("more than one Max-Forwards")
                    hops = _hops(pair[1])
                    pair = (pair[0], b"%d" % max(0, hops - 1))
                kept.append(pair)
            elif peer.trusted:
                if kind == _SET:
                    sent.append(pair)
                elif kind == _CLAIMED:
                    kept.append(pair)

        # Framing (RFC 9112 section 6).
        size: int | None = 0
        if coding is not None:
            if length is not None:
                raise BadRequest("both Content-Length and Transfer-Encoding")
            if version == b"1.0":
                raise BadRequest("Transfer-Encoding in HTTP/1.0")
            if coding.lower() != b"chunked":
                raise _bad_coding(coding)
            size = None
        elif length is not None:
            size = _length(length)
            if self.limits.body and size > self.limits.body:
                raise ClientError("the request body is too large", 413)

        # The connection (section 9.3).
        keep_alive = version == b"1.1"
        if options is not None:
            if b"close" in options:
                keep_alive = False
            elif not keep_alive and b"keep-alive" in options:
                keep_alive = True
            nominated = frozenset(options) - _OWN_OPTIONS
            if nominated:
                kept = [pair for pair in kept if pair[0].lower() not in nominated]

        # Target and host (section 3.2). A Host is needed, also where the target has an authority.
        if host is None and version != b"1.0":
            raise BadRequest("no Host")
        unmet = False
        if target[:1] != _FORM_ORIGIN:
            protected = peer.scheme == b"https" or peer.trusted
            unmet = not protected and target[:6].lower() == b"https:"
            target, authority = _other_form(method, target)
            if authority is not None:
                if host is not None and host.lower() != authority.lower():
                    raise BadRequest("the authority of the target is not the Host")
                host = authority
        if host is None:
            name = host = b""
        else:
            name = self.known_host(host)
            kept.insert(0, (b"Host", host))
        if unmet:
            # RFC 9110 section 7.4: whoever asks so must not take it for protected.
            raise ClientError("an https URL was asked for without TLS", 421)
        path = target.partition(b"?")[0]
        if target == b"*":
            path = target
        else:
            fault = request_path_fault(path)
            if fault is not None:
                raise BadRequest(fault)
            path = normalise_path(path)

        # Expect (RFC 9110 section 10.1.1): HTTP/1.0 knows none.
        expects = False
        if expect is not None and version != b"1.0":
            if expect.lower() != b"100-continue":
                raise ClientError("the only expectation that can be met is 100-continue", 417)
            expects = size != 0

        if peer.trusted:
            if request_id is None or not acceptable(request_id):
                request_id = self.ids.make()
            origin = self.forwarding.stamp_trusted(kept, peer, host, version, sent)
            client, scheme = origin.client, origin.scheme
        else:
            request_id = self.ids.make()
            client, scheme = self.forwarding.stamp(kept, peer, host, version), peer.scheme
        kept.append((b"X-Request-Id", request_id))
        return ValidatedRequest(
            RequestHead(
                method,
                target,
                name,
                path,
                kept,
                client,
                scheme,
                version,
                request_id,
                size,
                expects,
            ),
            keep_alive,
            target == b"*" or hops == 0,
            nominated,
        )

    def known_host(self, host: bytes) -> bytes:
        """
        What a Host field names, for routing.

        @raise ClientError: it names no host.
        """
        known = self._hosts.get(host)
        return self.host(host) if known is None else known

    def check_trailers(self, fields: Headers, nominated: frozenset[bytes] = frozenset()) -> Headers:
        """
        The trailers of a request, without what means nothing there.

        @param nominated: names that go no further (see L{ValidatedRequest}).
        """
        return [pair for pair in fields if self._is_trailer(pair[0].lower(), nominated)]

    def _is_trailer(self, name: bytes, nominated: frozenset[bytes]) -> bool:
        if name in nominated:
            return False
        plain = name.replace(b"_", b"-")
        return plain not in NOT_IN_TRAILERS and not plain.startswith(FORWARDING_PREFIX)

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

    def _kind(self, name: bytes) -> int:
        lower = name.lower()
        kind = _SPECIAL.get(lower, _KEEP)
        if kind == _KEEP and lower.startswith(FORWARDING_PREFIX):
            kind = _CLAIMED
        elif kind == _KEEP and b"_" in lower:
            # What CGI or WSGI could not tell from a field that is ruled here.
            plain = lower.replace(b"_", b"-")
            if plain in _SPECIAL or plain.startswith(FORWARDING_PREFIX):
                kind = _DROP
        if len(name) <= _LONGEST_REMEMBERED:
            if len(self._kinds) >= _MAX_REMEMBERED:
                self._kinds.clear()
            self._kinds[name] = kind
        return kind

    def host(self, host: bytes) -> bytes:
        """
        The one spelling of C{host}, a Host or an authority.

        @raise BadRequest: it is something else.
        """
        check_host(host)
        name = normalise_host(host)
        if len(self._hosts) >= _MAX_REMEMBERED:
            self._hosts.clear()
        self._hosts[host] = name
        return name


_OWN_OPTIONS = frozenset({b"close", b"keep-alive", b"upgrade", b"te", b"", b"host"})


def check_host(host: bytes) -> None:
    """
    Check a Host, or an authority: C{uri-host [":" port]} (RFC 9110 section 7.2).

    @raise BadRequest: it is something else, or has userinfo.
    """
    fault = host_fault(host)
    if fault is not None:
        raise BadRequest(fault)


def _is_version(text: bytes) -> bool:
    return len(text) == 3 and text[1:2] == b"." and text[:1].isdigit() and text[2:].isdigit()


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


def _length(value: bytes) -> int:
    if not value or value.translate(None, DIGITS) or len(value) > 19:
        raise BadRequest("Content-Length is not a length")
    if value[:1] == b"0" and len(value) > 1:
        raise BadRequest("Content-Length has a leading zero")
    length = int(value)
    if length > MAX_LENGTH:
        raise BadRequest("Content-Length is too large")
    return length


def _hops(value: bytes) -> int:
    """C{Max-Forwards} (RFC 9110 section 7.6.2)."""
    if not value or value.translate(None, DIGITS) or len(value) > 10:
        raise BadRequest("Max-Forwards is not a number of hops")
    return int(value)


def _bad_coding(value: bytes) -> ClientError:
    codings = [part.strip(b" \t") for part in value.lower().split(b",")]
    if codings[-1] != b"chunked" or b"chunked" in codings[:-1]:
        return BadRequest("the last transfer coding, and no other, has to be chunked")
    if all(part and not part.translate(None, TOKEN) for part in codings):
        return ClientError("the only transfer coding is chunked", 501)
    return BadRequest("Transfer-Encoding is malformed")
