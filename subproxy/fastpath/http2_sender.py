"""What waits to be sent on a compiled connection of HTTP/2: many frames are made in one call."""

from __future__ import annotations

from subproxy.fastpath._http2_response import data_frames
from subproxy.frontend.http2.frames import FRAME_SIZE
from subproxy.frontend.http2.sender import Http2Sender


class FastHttp2Sender(Http2Sender):
    """As its base; a stream that takes turns with nobody has all of its frames made at once."""

    def _put_data(self, room: int, out: list[bytes]) -> None:
        """Data of the streams that may send."""
        counts = self._counts
        for ready in self._ready:
            while ready and room > 0 and counts.room > 0:
                number = next(iter(ready))
                stream = ready.pop(number)
                most = -(-room // FRAME_SIZE) * FRAME_SIZE if not ready else FRAME_SIZE
                size = min(most, counts.room, stream.room, stream.waiting)
                last = stream.ends and size == stream.waiting
                bare = last and stream.trailers is None
                frames, at = data_frames(stream.data, stream.at, size, number, bare)
                stream.took(size, at)
                counts.room -= size
                room -= size
                self.waiting -= size
                out.append(frames)
                self._sent(stream, last, bare, out)
