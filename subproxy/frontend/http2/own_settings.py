"""What we tell clients of HTTP/2 of ourselves: RFC 9113 section 6.5.2, and RFC 8441 section 3."""

from __future__ import annotations

from subproxy.frontend.http2.bounds import MOST_STREAMS, STREAM_WINDOW
from subproxy.frontend.http2.frames import Http2Setting


def own_settings(list_size: int, connects: bool) -> dict[Http2Setting, int]:
    """
    The entries of our SETTINGS, which are sent once.

    @param list_size: bytes of the fields of a request, each counted with 32 more.
    @param connects: a request may be an extended CONNECT. Where it may not, nothing is said of
        that: a client that reads so opens a connection of HTTP/1.1 for its WebSocket.
    """
    said = {
        Http2Setting.MAX_CONCURRENT_STREAMS: MOST_STREAMS,
        Http2Setting.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
        Http2Setting.MAX_HEADER_LIST_SIZE: list_size,
        Http2Setting.NO_RFC7540_PRIORITIES: 1,
    }
    if connects:
        said[Http2Setting.ENABLE_CONNECT_PROTOCOL] = 1
    return said
