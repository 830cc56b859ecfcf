"""What frames of a client come to: see L{subproxy.frontend.http2.connection}."""

from __future__ import annotations

from typing import NamedTuple

from subproxy.core.http.request import Headers
from subproxy.frontend.http2.stream import Http2Stream


class RequestCame(NamedTuple):
    """
    The client has opened a stream.

    @ivar fields: all fields, in order; None if they were too many or too large.
    @ivar ended: there is no body.
    """

    stream: Http2Stream
    fields: Headers | None
    ended: bool


class BodyCame(NamedTuple):
    """
    Some of a request's body, perhaps none; of what is thrown away, that it came.

    @ivar ended: it is whole.
    @ivar trailers: what stands behind it.
    """

    stream: Http2Stream
    data: bytes
    ended: bool
    trailers: Headers


class StreamReset(NamedTuple):
    """
    A stream is over before its time.

    @ivar code: why; any number if it is the client's.
    @ivar ours: it is we who reset it.
    """

    stream: Http2Stream
    code: int
    ours: bool


class GoawaySeen(NamedTuple):
    """The client knows that the connection ends: what it opened before has come."""


Http2Event = RequestCame | BodyCame | StreamReset | GoawaySeen
