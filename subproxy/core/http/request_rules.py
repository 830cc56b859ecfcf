"""
What a request must be in any HTTP version: what is ambiguous is refused, what passes is rewritten.

Pure: parsed parts in, a L{RequestHead} or a L{ClientError} out. What only one version has, such as
the request line and the framing of bodies, is checked beside that version (for HTTP/1 in
L{subproxy.frontend.http1.framing}), between L{RequestRules.sort_fields} and
L{RequestRules.request_head}.

RFC 9110 sections 7.2 (Host), 7.6 (forwarding) and 10.1.1 (Expect).

Compiled a second time: L{subproxy.fastpath._request_head} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from subproxy.core.http.fields import (
    DIGITS,
    FORWARDING,
    FORWARDING_DROPPED,
    FORWARDING_PREFIX,
    HOP_BY_HOP,
    MAX_LENGTH,
    NOT_IN_TRAILERS,
    REQUEST_ID,
)
from subproxy.core.http.forwarded import Forwarding, Peer
from subproxy.core.http.normalise import (
    host_fault,
    normalise_host,
    normalise_path,
    request_path_fault,
)
from subproxy.core.http.request import Headers, RequestHead
from subproxy.core.http.request_id import RequestIds, acceptable
from subproxy.core.http.trace_context import TraceContext
from subproxy.errors import BadRequest, ClientError

_MAX_REMEMBERED = 2048
_LONGEST_REMEMBERED = 64
"""Bytes of a field name that is remembered: no name in use is longer, and a client can say many."""

# What becomes of a field. Those of forwarding are set by the proxy, or only perhaps passed on.
_KEEP, _HOST, _LENGTH, _CODING, _CONNECTION, _EXPECT, _ID, _HOPS, _DROP, _TE, _SET, _CLAIMED = (
    range(12)
)

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
    b"te": _TE,
    REQUEST_ID: _ID,
}


SortedFields = tuple[
    Headers,
    bytes | None,
    bytes | None,
    bytes | None,
    list[bytes] | None,
    bytes | None,
    bytes | None,
    int | None,
    Headers,
    bool,
]
"""
The fields of a request, apart by what becomes of them: what goes on as it is, Host,
Content-Length, Transfer-Encoding, what all Connection fields list in lower case, what all Expect
fields list, X-Request-Id, Max-Forwards (of OPTIONS alone), forwarding fields of a trusted peer, and
whether TE says that trailers are taken.

A tuple, since each request has one: an object would cost several times as much.
"""


class RequestRules:
    """
    Checks what requests mean.

    @param forwarding: what is told about the client, and who is trusted to tell it.
    @param ids: where request ids come from.
    @ivar traces: what follows traces; None: nobody does.
    """

    def __init__(self, forwarding: Forwarding | None = None, ids: RequestIds | None = None) -> None:
        self.forwarding = forwarding or Forwarding()
        self.ids = ids or RequestIds()
        self.traces: TraceContext | None = None
        self._kinds: dict[bytes, int] = {}
        self._hosts: dict[bytes, bytes] = {}

    def sort_fields(self, method: bytes, fields: Headers, peer: Peer) -> SortedFields:
        """
        Take the fields of a request apart.

        @param fields: the fields, each well-formed by itself, without white space around values.
        @raise BadRequest: there is more than one of what there must be one of.
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
        sent: Headers = []
        trailers = False
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
            elif kind == _TE:
                trailers = trailers or _takes_trailers(pair[1])
            elif peer.trusted:
                if kind == _SET:
                    sent.append(pair)
                elif kind == _CLAIMED:
                    kept.append(pair)
        return kept, host, length, coding, options, expect, request_id, hops, sent, trailers

    def request_head(
        self,
        method: bytes,
        target: bytes,
        host: bytes | None,
        kept: Headers,
        size: int | None,
        peer: Peer,
        version: bytes,
        expect: bytes | None = None,
        request_id: bytes | None = None,
        sent: Headers | None = None,
        misdirected: bool = False,
        trailers: bool = False,
    ) -> RequestHead:
        """
        Check what a request asks for, and rewrite it.

        @param target: a path and query, or C{*}.
        @param host: Host, or the authority that stands for it.
        @param kept: what goes on of its fields; becomes the headers.
        @param size: the length of its body; None if that is not known.
        @param version: that of the client, as C{Via} has it.
        @param expect: what it expects; None where the version has no C{Expect}.
        @param request_id: what it says its id is.
        @param sent: its forwarding fields.
        @param misdirected: it asks for what is protected, over what is not.
        @param trailers: its client takes trailers.
        @raise ClientError: the request is refused.
        """
        if host is None:
            name = host = b""
        else:
            name = self.known_host(host)
            kept.insert(0, (b"Host", host))
        if misdirected:
            # RFC 9110 section 7.4: whoever asks so must not take it for protected.
            raise ClientError("an https URL was asked for without TLS", 421)
        if peer.tls is not None and not peer.tls.serves(name):
            raise ClientError("the handshake of this connection was not one for that host", 421)
        path = target.partition(b"?")[0]
        if target == b"*":
            path = target
        else:
            fault = request_path_fault(path)
            if fault is not None:
                raise BadRequest(fault)
            path = normalise_path(path)

        # Expect (RFC 9110 section 10.1.1).
        expects = False
        if expect is not None:
            if expect.lower() != b"100-continue":
                raise ClientError("the only expectation that can be met is 100-continue", 417)
            expects = size != 0

        trace = b"" if self.traces is None else self.traces.follow(kept)
        if peer.trusted:
            if request_id is None or not acceptable(request_id):
                request_id = self.ids.make()
            origin = self.forwarding.stamp_trusted(kept, peer, host, version, sent or [])
            client, scheme = origin.client, origin.scheme
        else:
            request_id = self.ids.make()
            client, scheme = self.forwarding.stamp(kept, peer, host, version), peer.scheme
        kept.append((b"X-Request-Id", request_id))
        return RequestHead(
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
            trailers=trailers,
            tls=peer.tls,
            trace=trace,
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

        @param nominated: names that go no further (see RFC 9110 section 7.6.1).
        """
        return [pair for pair in fields if self._is_trailer(pair[0].lower(), nominated)]

    def _is_trailer(self, name: bytes, nominated: frozenset[bytes]) -> bool:
        if name in nominated:
            return False
        plain = name.replace(b"_", b"-")
        return plain not in NOT_IN_TRAILERS and not plain.startswith(FORWARDING_PREFIX)

    def _kind(self, name: bytes) -> int:
        lower = name.lower()
        kind = _SPECIAL.get(lower, _KEEP)
        if kind == _KEEP and lower.startswith(FORWARDING_PREFIX):
            kind = _CLAIMED
        elif b"_" in lower:
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


def check_host(host: bytes) -> None:
    """
    Check a Host, or an authority: C{uri-host [":" port]} (RFC 9110 section 7.2).

    @raise BadRequest: it is something else, or has userinfo.
    """
    fault = host_fault(host)
    if fault is not None:
        raise BadRequest(fault)


def content_length(value: bytes) -> int:
    """
    The length that a C{Content-Length} says (RFC 9110 section 8.6).

    @raise BadRequest: it says none.
    """
    if not value or value.translate(None, DIGITS) or len(value) > 19:
        raise BadRequest("Content-Length is not a length")
    if value[:1] == b"0" and len(value) > 1:
        raise BadRequest("Content-Length has a leading zero")
    length = int(value)
    if length > MAX_LENGTH:
        raise BadRequest("Content-Length is too large")
    return length


def _takes_trailers(value: bytes) -> bool:
    """Whether C{TE} has C{trailers} among what it lists (RFC 9110 section 10.1.4)."""
    return any(part.strip(b" \t") == b"trailers" for part in value.lower().split(b","))


def _hops(value: bytes) -> int:
    """C{Max-Forwards} (RFC 9110 section 7.6.2)."""
    if not value or value.translate(None, DIGITS) or len(value) > 10:
        raise BadRequest("Max-Forwards is not a number of hops")
    return int(value)
