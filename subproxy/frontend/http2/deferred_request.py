"""A request that waits until its connection holds less, with what has come of its body."""

from __future__ import annotations

from subproxy.core.http.request import Headers
from subproxy.frontend.http2.events import BodyCame, RequestCame


class DeferredRequest:
    """
    See above. What it holds of the body is in the windows of its stream and its connection, which
    are not opened as long as it waits.

    @ivar request: the request.
    """

    __slots__ = ("_data", "_ended", "_trailers", "request")

    def __init__(self, request: RequestCame) -> None:
        self.request = request
        self._data = bytearray()
        self._ended = False
        self._trailers: Headers = []

    def body_came(self, event: BodyCame) -> None:
        """Some of the body came: many pieces are one, since each would cost more than it holds."""
        self._data += event.data
        self._ended = event.ended
        self._trailers = event.trailers

    @property
    def has_body(self) -> bool:
        """Some of the body is here, or its end."""
        return bool(self._data) or self._ended

    def body(self) -> BodyCame:
        """What came of the body, at once."""
        return BodyCame(self.request.stream, bytes(self._data), self._ended, self._trailers)
