"""
A request as the fields of HTTP/2 have it: RFC 9113 sections 8.2 and 8.3.

Pure: fields in, a L{FieldsRequest} out. What is malformed as HTTP/2 is a L{MalformedFields}, which
ends the stream; what is well-formed, and refused, is a L{ClientError}, which is answered. The rules
of any version are those of HTTP/1.1, in L{subproxy.core.http.request_rules}.

Compiled a second time: L{subproxy.fastpath._http2_head} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from typing import Final

from subproxy.core.http.fields import (
    FIELD_VALUE,
    METHODS,
    METHODS_REFUSED,
    TARGET,
    TOKEN,
)
from subproxy.core.http.forwarded import Peer
from subproxy.core.http.normalise import host_fault, normalise_host
from subproxy.core.http.request import Headers, RequestHead
from subproxy.core.http.request_rules import RequestRules, content_length
from subproxy.core.http.upgrade import WEBSOCKET, connect_upgrade, websocket_key
from subproxy.errors import BadRequest, ClientError
from subproxy.frontend.limits import HttpLimits
from subproxy.wire.values import record_class

VERSION: Final = b"2"
"""As C{Via}, the log and guests have it."""

CONNECTION_SPECIFIC: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
"""Fields that HTTP/2 does not have (section 8.2.2); and TE, unless it says C{trailers}."""

_UPPER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NAME: Final = bytes(byte for byte in TOKEN if byte not in _UPPER)
_PSEUDO: Final = frozenset({b":method", b":scheme", b":authority", b":path", b":protocol"})
_SHOWN = 256


class MalformedFields(Exception):
    """The fields are not those of a request of HTTP/2."""


@record_class
class FieldsRequest:
    """
    A request that passed.

    @ivar head: what a guest may see of it.
    @ivar for_us: no guest is asked, but the proxy itself.
    """

    head: RequestHead
    for_us: bool


def read_request(
    fields: Headers,
    ended: bool,
    peer: Peer,
    limits: HttpLimits,
    rules: RequestRules,
    connects: bool = False,
) -> FieldsRequest:
    """
    The request that C{fields} are; of an extended CONNECT it is a GET, as HTTP/1.1 has that.

    @param ended: it has no body.
    @param connects: it may be an extended CONNECT (RFC 8441).
    @raise MalformedFields: they are none of HTTP/2.
    @raise ClientError: it is refused.
    """
    pseudo, regular = _split(fields)
    method = pseudo.get(b":method")
    target = pseudo.get(b":path")
    scheme = pseudo.get(b":scheme")
    if method == b"CONNECT" and target is None and scheme is None and b":authority" in pseudo:
        raise ClientError("this method is not allowed", 405)
    if not method or not target or scheme is None:
        raise MalformedFields("no method, scheme or path")
    upgrade = None
    protocol = pseudo.get(b":protocol")
    if protocol is not None:
        if not connects or method != b"CONNECT":
            raise MalformedFields("a protocol, and no extended CONNECT")
        upgrade = connect_upgrade(protocol, regular)
        method = b"GET"
    if len(regular) > limits.fields:
        raise ClientError("the request has too many fields", 431)
    _check_line(method, target, scheme, limits)
    kept, host, said, _, _, expect, request_id, hops, sent, trailers = rules.sort_fields(
        method, regular, peer
    )
    size: int | None = None
    if said is not None:
        size = content_length(said)
        if ended and size:
            raise MalformedFields("a length, and no body")
    if upgrade is not None:
        if ended or said is not None:
            raise BadRequest("an extended CONNECT has no body, but a stream that goes on")
        # RFC 8441 section 5: what it says means nothing. Applications want one, as of HTTP/1.1.
        kept = [pair for pair in kept if pair[0] != b"sec-websocket-key"]
    if ended or upgrade is not None:
        size = 0
    authority = pseudo.get(b":authority")
    if authority is not None:
        if host is not None and host.lower() != authority.lower():
            raise BadRequest("the authority is not the Host")
        host = authority
    if host is None:
        raise BadRequest("neither an authority nor a Host")
    protected = peer.scheme == b"https" or peer.trusted
    head = rules.request_head(
        method,
        target,
        host,
        kept,
        size,
        peer,
        VERSION,
        expect if upgrade is None else None,
        request_id,
        sent,
        not protected and scheme.lower() == b"https",
        trailers,
    )
    if upgrade is not None:
        head.upgrade = upgrade
        if upgrade.protocols == (WEBSOCKET,):
            head.headers.append((b"sec-websocket-key", websocket_key(head.request_id)))
    return FieldsRequest(head, target == b"*" or hops == 0)


def _split(fields: Headers) -> tuple[dict[bytes, bytes], Headers]:
    """
    What stands for a request line, and the rest, with one Cookie (section 8.2.3).

    @raise MalformedFields: one of them may not be there, or not there.
    """
    pseudo: dict[bytes, bytes] = {}
    regular: Headers = []
    crumbs: list[bytes] = []
    cookie = 0
    # There may be hundreds, each a byte on the wire: all are looked through at once.
    if b"".join([value for _, value in fields]).translate(None, FIELD_VALUE):
        raise MalformedFields("a value holds what may not stand there")
    for pair in fields:
        name, value = pair
        if name[:1] == b":":
            if regular or name in pseudo or name not in _PSEUDO:
                raise MalformedFields("a pseudo field that is out of place")
            pseudo[name] = value
            continue
        _check_field(name, value)
        if name == b"cookie":
            crumbs.append(value)
            if len(crumbs) > 1:
                continue
            cookie = len(regular)
        regular.append(pair)
    if len(crumbs) > 1:
        regular[cookie] = (b"cookie", b"; ".join(crumbs))
    return pseudo, regular


def _check_field(name: bytes, value: bytes) -> None:
    if value[:1] in _EDGES or value[-1:] in _EDGES:
        raise MalformedFields("white space around a value")
    if name == b"cookie":
        return  # of which there may be hundreds
    if not name or name.translate(None, _NAME):
        raise MalformedFields("the name of a field holds what may not stand there")
    if name in CONNECTION_SPECIFIC or (name == b"te" and value.lower() != b"trailers"):
        raise MalformedFields("a field of the connection")


_EDGES = (b" ", b"\t")


def _check_line(method: bytes, target: bytes, scheme: bytes, limits: HttpLimits) -> None:
    """
    What HTTP/1 checks of a request line.

    @raise ClientError: it is refused.
    """
    if method.translate(None, TOKEN):
        raise BadRequest("the method is not a token")
    if scheme.lower() not in (b"http", b"https"):
        raise BadRequest("the scheme is neither http nor https")
    if method not in METHODS:
        if method in METHODS_REFUSED:
            raise ClientError("this method is not allowed", 405)
        raise ClientError("this method is not known", 501)
    if len(target) > limits.target:
        raise ClientError("the request target is too long", 414)
    if target.translate(None, TARGET):
        raise BadRequest("the request target holds what may not stand there")
    if target[:1] != b"/" and not (target == b"*" and method == b"OPTIONS"):
        raise BadRequest("the request target is no path")


def read_trailers(fields: Headers, rules: RequestRules, limits: HttpLimits) -> Headers:
    """
    The trailers of a request, without what means nothing there.

    @raise MalformedFields: they are none.
    """
    if len(fields) > limits.fields:
        raise MalformedFields("too many trailers")
    for name, value in fields:
        if name[:1] == b":" or value.translate(None, FIELD_VALUE):
            raise MalformedFields("a trailer holds what may not stand there")
        _check_field(name, value)
    return rules.check_trailers(fields)


def unreadable_request(fields: Headers, client: bytes, request_id: bytes) -> RequestHead:
    """What can be told, in the log alone, of fields that are refused: the first of each."""
    said: dict[bytes, bytes] = {}
    for name, value in fields:
        said.setdefault(name, value)
    host = said.get(b":authority", said.get(b"host", b""))
    if host_fault(host) is None:
        host = normalise_host(host)
    return RequestHead(
        said.get(b":method", b"")[:32],
        said.get(b":path", b"")[:8192],
        host[:_SHOWN],
        b"",
        [
            (name, said[name][:1024])
            for name in (b"user-agent", b"referer", b"content-type")
            if name in said
        ],
        client,
        version=VERSION,
        request_id=request_id,
    )
