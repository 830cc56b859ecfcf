"""
What a C{request} frame says of an exchange, but for its body.

Compiled a second time: L{subproxy.fastpath._request_frame} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from subproxy.core.balancing.member import Member, is_peer
from subproxy.core.exchange import Exchange
from subproxy.subscription.tls_info import tls_info
from subproxy.wire.fields import Headers, Info


def request_headers(exchange: Exchange) -> Headers:
    """The header section of a request frame: the length of the body is in it, if it is known."""
    request = exchange.forwarded
    if not request.length:
        return request.headers
    return [*request.headers, (b"Content-Length", b"%d" % request.length)]


def request_info(exchange: Exchange, member: Member | None = None) -> Info:
    """The C{info} of a request frame, for C{member}; to a peer, by what it is routed, too."""
    request = exchange.request
    info: Info = {b"client": request.client}
    if not request.passthrough:
        info[b"scheme"] = request.scheme
        info[b"version"] = request.version
    elif request.tls is not None:
        info[b"tls"] = tls_info(request.tls, (b"sni",))
    info[b"id"] = request.request_id
    if request.expect and exchange.body is None:
        info[b"expect"] = True
    if request.trailers:
        info[b"trailers"] = True
    if request.tls is not None and member is not None and exchange.pool in member.tls:
        info[b"tls"] = tls_info(request.tls, member.tls[exchange.pool])
    if member is not None and is_peer(member):
        info |= {b"host": request.host, b"path": request.path, b"hops": 1, b"stamped": True}
    return info


def shorten(info: Info) -> bool:
    """
    Take something out of what a guest is told that is not worth a refusal of the request.

    @return: whether there was anything.
    """
    if info.pop(b"ahead", None) is not None:
        return True
    # Who the client is the digest tells, too.
    return info.get(b"tls", {}).pop(b"cert", None) is not None
