"""
What waits to be sent on a connection, and in which order it goes: RFC 9113 sections 5.2 and 8.1.

Fields are not under flow control, and go first. Data go by urgency, and within one the streams
take turns, a frame each (L{subproxy.frontend.http2.priority}).
"""

from __future__ import annotations

from subproxy.frontend.http2.bounds import GOING, MOST_WAITING
from subproxy.frontend.http2.counts import IHttp2Counts
from subproxy.frontend.http2.frames import (
    END_HEADERS,
    END_STREAM,
    FRAME_SIZE,
    MOST_STREAM,
    ErrorCode,
    FrameType,
    Http2Error,
    frame_head,
    write_frame,
)
from subproxy.frontend.http2.priority import LEAST_URGENCY
from subproxy.frontend.http2.stream import Http2Stream

_EMPTY_TABLE = b"\x20"
"""An instruction of HPACK: the dynamic table has no room (RFC 7541 section 6.3)."""


class Http2Sender:
    """
    The sending half of a connection.

    @ivar waiting: bytes of answers that wait on all streams.
    @ivar moved: streams of which data were sent since the last look.
    @ivar ended: streams whose end was sent since the last look.
    """

    def __init__(self, counts: IHttp2Counts) -> None:
        self._counts = counts
        self._control: list[bytes] = []
        self._free: dict[int, Http2Stream] = {}  # have something that no window holds back
        self._ready: list[dict[int, Http2Stream]] = [{} for _ in range(LEAST_URGENCY + 1)]
        self.waiting = 0
        self.moved: list[Http2Stream] = []
        self.ended: list[Http2Stream] = []

    @property
    def crowded(self) -> bool:
        """So much waits that further requests have to wait, too."""
        return self.waiting > MOST_WAITING

    def put(self, frame: bytes) -> None:
        """Send C{frame}, before all that belongs to streams."""
        self._control.append(frame)

    def window(self, number: int, more: int) -> None:
        """Let the client send C{more} bytes on a stream, or, on 0, on all of them."""
        self.put(write_frame(FrameType.WINDOW_UPDATE, 0, number, more.to_bytes(4, "big")))

    def block(self, stream: Http2Stream, block: bytes) -> None:
        """Send fields before any data of C{stream}."""
        stream.blocks.append(block)
        self.hold(stream, len(block))
        self._free[stream.number] = stream

    def data(self, stream: Http2Stream, data: bytes) -> None:
        """Let C{data} wait for its turn."""
        stream.add(data)
        self.waiting += len(data)
        self.window_moved(stream)

    def hold(self, stream: Http2Stream, more: int) -> None:
        """C{more} bytes wait beside the data of C{stream}; less than nothing: so many do not."""
        if stream.we_send:
            stream.beside += more
            self.waiting += more

    def end(self, stream: Http2Stream, trailers: bytes | None) -> None:
        """End C{stream} behind what waits."""
        if trailers is not None:
            self.hold(stream, len(trailers))
        stream.ends = True
        stream.trailers = trailers
        if not stream.waiting:
            self._free[stream.number] = stream

    def window_moved(self, stream: Http2Stream) -> None:
        """The client takes more of C{stream} or less (section 6.9.2), or there is more of it."""
        if stream.waiting and stream.room > 0:
            self._ready[stream.urgency].setdefault(stream.number, stream)
        else:
            self._ready[stream.urgency].pop(stream.number, None)

    def set_urgency(self, stream: Http2Stream, urgency: int) -> None:
        """C{stream} is as urgent as that from now on."""
        self._ready[stream.urgency].pop(stream.number, None)
        stream.urgency = urgency
        self.window_moved(stream)

    def forget(self, stream: Http2Stream) -> None:
        """Send nothing of C{stream} any more."""
        self._free.pop(stream.number, None)
        self._ready[stream.urgency].pop(stream.number, None)
        self.waiting -= stream.waiting + stream.beside
        stream.forget()

    def pending(self, writable: bool) -> bool:
        """Whether L{take} has something; where nothing is C{writable}, control frames alone."""
        if self._control or not writable:
            return bool(self._control)
        if self._free:
            return True
        return self.waiting > 0 and self._counts.room > 0 and any(self._ready)

    def take(self, room: int) -> list[bytes]:
        """
        What is to be sent now, in pieces.

        @param room: bytes of data to stop at; 0 for control frames alone.
        """
        out, self._control = self._control, []
        if room > 0:
            free, self._free = self._free, {}
            for stream in free.values():
                self._put_free(stream, out)
            if self.waiting > 0:
                self._put_data(room, out)
        return out

    def _put_free(self, stream: Http2Stream, out: list[bytes]) -> None:
        """Fields, and the end of what has no data."""
        blocks, stream.blocks = stream.blocks, []
        self.hold(stream, -sum(map(len, blocks)))
        bare = stream.ends and not stream.waiting
        for left, block in zip(range(len(blocks) - 1, -1, -1), blocks, strict=True):
            ends = bare and not left and stream.trailers is None
            self._put_block(stream, block, ends, out)
            if ends:
                return
        if bare:
            self._put_end(stream, out)

    def _put_end(self, stream: Http2Stream, out: list[bytes]) -> None:
        """The end of a stream whose data were sent, and did not say so."""
        if stream.trailers is not None:
            self.hold(stream, -len(stream.trailers))
            self._put_block(stream, stream.trailers, True, out)
        else:
            out.append(write_frame(FrameType.DATA, END_STREAM, stream.number))
            self.ended.append(stream)

    def _put_block(self, stream: Http2Stream, block: bytes, ends: bool, out: list[bytes]) -> None:
        """HEADERS, and CONTINUATION where it is longer than a frame."""
        if self._counts.shrinks:
            self._counts.shrinks = False
            block = _EMPTY_TABLE + block
        kind, flags = FrameType.HEADERS, END_STREAM if ends else 0
        while len(block) > FRAME_SIZE:
            out.append(write_frame(kind, flags, stream.number, block[:FRAME_SIZE]))
            kind, flags, block = FrameType.CONTINUATION, 0, block[FRAME_SIZE:]
        out.append(write_frame(kind, flags | END_HEADERS, stream.number, block))
        if ends:
            self.ended.append(stream)

    def _put_data(self, room: int, out: list[bytes]) -> None:
        """Data of the streams that may send, one frame after the other."""
        counts = self._counts
        for ready in self._ready:
            while ready and room > 0 and counts.room > 0:
                number = next(iter(ready))
                stream = ready.pop(number)
                data = stream.take(min(counts.room, stream.room))
                size = len(data)
                counts.room -= size
                room -= size
                self.waiting -= size
                last = stream.ends and not stream.waiting
                bare = last and stream.trailers is None
                out.append(frame_head(size, FrameType.DATA, END_STREAM if bare else 0, number))
                out.append(data)
                self._sent(stream, last, bare, out)

    def _sent(self, stream: Http2Stream, last: bool, bare: bool, out: list[bytes]) -> None:
        """Data of C{stream} were sent: the C{last}, and if C{bare}, with its end."""
        if bare:
            self.ended.append(stream)
        elif last:
            self._put_end(stream, out)
        else:
            self.moved.append(stream)
            self.window_moved(stream)

    # The connection ends.

    def go_away(self) -> None:
        """Say that the connection ends, and ask whether that was heard; all streams go on."""
        self._put_goaway(MOST_STREAM, ErrorCode.NO_ERROR, b"")
        self.put(write_frame(FrameType.PING, 0, 0, GOING))

    def finish(self) -> None:
        """Say which stream was the last."""
        self._put_goaway(self._counts.last_stream, ErrorCode.NO_ERROR, b"")

    def fail(self, error: Http2Error) -> None:
        """Say why the connection ends now."""
        reason = str(error).encode("ascii")
        self._put_goaway(self._counts.last_stream, error.code, reason)

    def _put_goaway(self, last: int, code: ErrorCode, reason: bytes) -> None:
        payload = last.to_bytes(4, "big") + code.to_bytes(4, "big") + reason
        self.put(write_frame(FrameType.GOAWAY, 0, 0, payload))
