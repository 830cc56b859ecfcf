"""
A connection of HTTP/2 as a server sees it: what each frame means, and what it makes us send.

No I/O, and no clock: frames and the time go in; events, and bytes to be sent, come out. What the
fields of a request mean is not asked here (L{subproxy.frontend.http2.request_fields}), nor who
answers it. RFC 9113 sections 5 and 6.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar

from subproxy.core.http.request import Headers
from subproxy.frontend.http2.bounds import (
    CONNECTION_WINDOW,
    GOING,
    LARGEST_WINDOW,
    MOST_BLOCK,
    MOST_CONTINUATIONS,
    MOST_CRUMBS,
    MOST_HEADS,
    MOST_STREAMS,
    REMEMBERED,
    STREAM_WINDOW,
    head_cost,
)
from subproxy.frontend.http2.counts import FIRST_WINDOW, IHttp2Counts
from subproxy.frontend.http2.events import (
    BodyCame,
    GoawaySeen,
    Http2Event,
    RequestCame,
    StreamReset,
)
from subproxy.frontend.http2.field_block import FieldBlock
from subproxy.frontend.http2.flood import Flood, FloodGuard
from subproxy.frontend.http2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    HAS_PRIORITY,
    MOST_STREAM,
    MOST_WINDOW,
    ErrorCode,
    Frame,
    FrameType,
    Http2Error,
    Http2Setting,
    protocol_error,
    read_priority_update,
    read_settings,
    without_padding,
    write_frame,
    write_settings,
)
from subproxy.frontend.http2.hpack import HpackError, IFieldDecoder
from subproxy.frontend.http2.own_settings import own_settings
from subproxy.frontend.http2.priority import urgency, urgency_of
from subproxy.frontend.http2.sender import Http2Sender
from subproxy.frontend.http2.stream import Http2Stream, StreamState
from subproxy.frontend.http2.window import ConnectionWindow


class Http2Connection:
    """
    One connection.

    @param decoder: reads its fields.
    @param counts: its numbers.
    @param guard: what it may do how often.
    @param list_size: bytes of the fields of a request, each counted with 32 more.
    @param most_fields: how many fields a request may have, pieces of Cookie not counted.
    @param sender: has what waits to be sent; None for a new one. An ivar, too.
    @ivar streams: those that are open, by number.
    @ivar greeted: the client's SETTINGS are here.
    @ivar refuses: no stream is opened any more.
    @ivar connects: a request may be an extended CONNECT (RFC 8441): we have said so.
    @ivar peer_list_size: what the client said is the largest list of fields that it takes.
    """

    def __init__(
        self,
        decoder: IFieldDecoder,
        counts: IHttp2Counts,
        guard: FloodGuard,
        list_size: int,
        most_fields: int,
        sender: Http2Sender | None = None,
    ) -> None:
        self.counts = counts
        self.sender = sender or Http2Sender(counts)
        self.streams: dict[int, Http2Stream] = {}
        self.refuses = False
        self.peer_list_size: int | None = None
        self.connects = False
        self._decoder = decoder
        self._guard = guard
        self._list_size = list_size
        self._most_fields = most_fields
        self.greeted = False
        self._block: FieldBlock | None = None
        self._window = ConnectionWindow(counts)
        self._reset: deque[int] = deque(maxlen=REMEMBERED)

    def begin(self, connects: bool) -> None:
        """Say what we take; C{connects}: extended CONNECT, too."""
        self.connects = connects
        self.sender.put(write_settings(own_settings(self._list_size, connects)))
        self.sender.window(0, CONNECTION_WINDOW - FIRST_WINDOW)

    @property
    def partial(self) -> bool:
        """A block of fields is not whole."""
        return self._block is not None

    # Frames come.

    def receive(self, frame: Frame, now: float) -> Http2Event | None:
        """
        What C{frame} means.

        @raise Http2Error: the connection has to end: see L{fail}.
        """
        kind = frame.kind
        if self._block is not None and (
            kind != FrameType.CONTINUATION or frame.stream != self._block.number
        ):
            raise protocol_error("fields are not followed by the rest of them")
        if not self.greeted and kind != FrameType.SETTINGS:
            raise protocol_error("the first frame is not SETTINGS")
        handler = self._HANDLERS.get(kind)
        if handler is None:
            self._guard.happened(Flood.EMPTY, now)
            return None
        return handler(self, frame, now)

    def _headers(self, frame: Frame, now: float) -> Http2Event | None:
        number, flags = frame.stream, frame.flags
        if not number & 1:
            raise protocol_error("HEADERS on a stream that is not the client's")
        text = without_padding(flags, frame.payload)
        depends = False
        if flags & HAS_PRIORITY:
            if len(text) < 5:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "HEADERS without their priority")
            depends = int.from_bytes(text[:4], "big") & MOST_STREAM == number
            text = text[5:]
        if not flags & END_HEADERS:
            self._block = FieldBlock(number, flags, text, depends)
            return None
        return self._fields(number, flags, text, depends, now)

    def _continuation(self, frame: Frame, now: float) -> Http2Event | None:
        block = self._block
        if block is None:
            raise protocol_error("CONTINUATION behind no fields")
        block.text += frame.payload
        block.more += 1
        if block.more > MOST_CONTINUATIONS or len(block.text) > MOST_BLOCK:
            self._guard.happened(Flood.CONTINUATION, now)
        if not frame.flags & END_HEADERS:
            return None
        self._block = None
        return self._fields(block.number, block.flags, block.text, block.depends, now)

    def _fields(
        self, number: int, flags: int, text: bytes, depends: bool, now: float
    ) -> Http2Event | None:
        """A block of fields is whole."""
        try:
            fields = self._decoder.decode(text, self._list_size, self._most_fields + MOST_CRUMBS)
        except HpackError:
            reason = "a block of fields is malformed"
            raise Http2Error(ErrorCode.COMPRESSION_ERROR, reason) from None
        return self.fields_came(number, fields, bool(flags & END_STREAM), depends, now)

    def fields_came(
        self, number: int, fields: Headers | None, ended: bool, depends: bool, now: float
    ) -> Http2Event | None:
        """
        C{fields}, which have been decoded, came on a stream.

        @param depends: they say that the stream depends on itself.
        @raise Http2Error: see L{receive}.
        """
        if fields is None:
            self._guard.happened(Flood.FIELDS, now)
        stream = self.streams.get(number)
        if stream is not None:
            return self._trailers(stream, fields, ended, now)
        counts = self.counts
        if number <= counts.last_stream:
            if number in self._reset:
                return None
            raise Http2Error(ErrorCode.STREAM_CLOSED, "fields on a stream that is closed")
        counts.last_stream = number
        if self.refuses or counts.open >= MOST_STREAMS:
            self._put_reset(number, ErrorCode.REFUSED_STREAM, now)
            return None
        cost = 0 if fields is None else head_cost(fields)
        if counts.heads + cost > MOST_HEADS:
            # More than it may have under way: as one that is too large by itself.
            self._guard.happened(Flood.FIELDS, now)
            fields, cost = None, 0
        stream = self._opened(number)
        self._cost(stream, cost)
        if depends:
            return self.reset(stream, ErrorCode.PROTOCOL_ERROR, now)
        if ended:
            stream.client_ended()
        stream.urgency = urgency_of(fields or [])
        return RequestCame(stream, fields, ended)

    def _opened(self, number: int) -> Http2Stream:
        counts = self.counts
        counts.open += 1
        counts.requests += 1
        stream = Http2Stream(number, STREAM_WINDOW, counts.first_room)
        self.streams[number] = stream
        return stream

    def _cost(self, stream: Http2Stream, cost: int) -> None:
        stream.cost = cost
        self.counts.heads += cost

    def adopt(
        self, number: int, room: int, cost: int, came: int = 0, ended: bool = True
    ) -> Http2Stream:
        """
        A stream that was opened elsewhere, and counted.

        @param room: what the client has opened its window by since then.
        @param cost: bytes that its head takes.
        @param came: bytes of data that came, and that nobody has taken yet.
        @param ended: the request is whole.
        """
        stream = Http2Stream(number, STREAM_WINDOW, self.counts.first_room + room)
        stream.window -= came
        stream.held = stream.received = came
        self._cost(stream, cost)
        if ended:
            stream.client_ended()
        self.streams[number] = stream
        return stream

    def _trailers(
        self, stream: Http2Stream, fields: Headers | None, ended: bool, now: float
    ) -> Http2Event | None:
        if not stream.client_sends:
            return self.reset(stream, ErrorCode.STREAM_CLOSED, now)
        if not ended or fields is None:
            return self.reset(stream, ErrorCode.PROTOCOL_ERROR, now)
        discards = stream.discards
        self._client_ended(stream)
        return BodyCame(stream, b"", True, [] if discards else fields)

    def _data(self, frame: Frame, now: float) -> Http2Event | None:
        number, size = frame.stream, len(frame.payload)
        if not number:
            raise protocol_error("DATA on no stream")
        ended = bool(frame.flags & END_STREAM)
        data = without_padding(frame.flags, frame.payload)
        self._window.came(size)
        stream = self.streams.get(number)
        if stream is None or not stream.client_sends:
            self._taken(size)
            if stream is not None:
                return self.reset(stream, ErrorCode.STREAM_CLOSED, now)
            if number > self.counts.last_stream:
                raise protocol_error("DATA on a stream that is idle")
            if number not in self._reset:
                self._put_reset(number, ErrorCode.STREAM_CLOSED, now)
            return None
        stream.window -= size
        stream.held += size
        if stream.window < 0:
            return self.reset(stream, ErrorCode.FLOW_CONTROL_ERROR, now)
        if not data and not ended:
            self._guard.happened(Flood.EMPTY, now)
        stream.received += size
        nobodys = size if stream.discards else size - len(data)
        if nobodys:
            self.consumed(stream, nobodys)
        if ended:
            self._client_ended(stream)
        return BodyCame(stream, b"" if stream.discards else data, ended, [])

    def _rst_stream(self, frame: Frame, now: float) -> Http2Event | None:
        if len(frame.payload) != 4:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "a frame of a wrong size")
        if not frame.stream or frame.stream > self.counts.last_stream:
            raise protocol_error("a frame of a stream that is idle")
        self._guard.happened(Flood.RESET, now)
        stream = self.streams.get(frame.stream)
        if stream is None:
            return None
        self._close(stream)
        return StreamReset(stream, int.from_bytes(frame.payload, "big"), False)

    def _priority(self, frame: Frame, now: float) -> Http2Event | None:
        """RFC 7540's, which means nothing any more; what is malformed is still an error."""
        number, payload = frame.stream, frame.payload
        if not number:
            raise protocol_error("PRIORITY of no stream")
        self._guard.happened(Flood.PRIORITY, now)
        if len(payload) != 5:
            return self._stream_error(number, ErrorCode.FRAME_SIZE_ERROR, now)
        if int.from_bytes(payload[:4], "big") & MOST_STREAM == number:
            return self._stream_error(number, ErrorCode.PROTOCOL_ERROR, now)
        return None

    def _priority_update(self, frame: Frame, now: float) -> Http2Event | None:
        """RFC 9218 section 7.1; of a stream that is not open it is forgotten."""
        number, value = read_priority_update(frame)
        self._guard.happened(Flood.PRIORITY, now)
        stream = self.streams.get(number)
        if stream is not None:
            self.sender.set_urgency(stream, urgency(value))
        return None

    def _settings(self, frame: Frame, now: float) -> Http2Event | None:
        found = read_settings(frame)
        self._guard.happened(Flood.SETTINGS, now)
        if found is not None:
            self.greeted = True
            for key, value in found:
                self._setting(key, value)
            self.sender.put(write_frame(FrameType.SETTINGS, ACK, 0))
        return None

    def _setting(self, key: int, value: int) -> None:
        if key == Http2Setting.HEADER_TABLE_SIZE:
            # We have none; but who has just made it smaller wants to hear that.
            self.counts.shrinks = True
        elif key == Http2Setting.MAX_HEADER_LIST_SIZE:
            self.peer_list_size = value
        elif key == Http2Setting.INITIAL_WINDOW_SIZE:
            more = value - self.counts.first_room
            self.counts.first_room = value
            for stream in self.streams.values():
                stream.room += more
                if stream.room > MOST_WINDOW:
                    raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "a window is too large")
                self.sender.window_moved(stream)

    def _push_promise(self, frame: Frame, now: float) -> Http2Event | None:
        raise protocol_error("PUSH_PROMISE of a client")

    def _ping(self, frame: Frame, now: float) -> Http2Event | None:
        if frame.stream:
            raise protocol_error("PING on a stream")
        if len(frame.payload) != 8:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "PING of a wrong size")
        self._guard.happened(Flood.PING, now)
        if frame.flags & ACK:
            return GoawaySeen() if frame.payload == GOING else None
        self.sender.put(write_frame(FrameType.PING, ACK, 0, frame.payload))
        return None

    def _goaway(self, frame: Frame, now: float) -> Http2Event | None:
        """The client opens no stream any more; it closes when it has its answers."""
        if frame.stream:
            raise protocol_error("GOAWAY on a stream")
        if len(frame.payload) < 8:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY of a wrong size")
        self._guard.happened(Flood.SETTINGS, now)
        return None

    def _window_update(self, frame: Frame, now: float) -> Http2Event | None:
        if len(frame.payload) != 4:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE of a wrong size")
        number = frame.stream
        more = int.from_bytes(frame.payload, "big") & MOST_WINDOW
        if not number:
            if not more:
                raise protocol_error("a window opens by nothing")
            self.counts.room += more
            if self.counts.room > MOST_WINDOW:
                raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "a window is too large")
            return None
        if number > self.counts.last_stream:
            raise protocol_error("WINDOW_UPDATE on a stream that is idle")
        if not more:
            return self._stream_error(number, ErrorCode.PROTOCOL_ERROR, now)
        stream = self.streams.get(number)
        if stream is None:
            return None
        if stream.room + more > MOST_WINDOW:
            return self.reset(stream, ErrorCode.FLOW_CONTROL_ERROR, now)
        stream.room += more
        self.sender.window_moved(stream)
        return None

    _HANDLERS: ClassVar[dict[int, Callable[[Http2Connection, Frame, float], Http2Event | None]]] = {
        FrameType.DATA: _data,
        FrameType.HEADERS: _headers,
        FrameType.PRIORITY: _priority,
        FrameType.RST_STREAM: _rst_stream,
        FrameType.SETTINGS: _settings,
        FrameType.PUSH_PROMISE: _push_promise,
        FrameType.PING: _ping,
        FrameType.GOAWAY: _goaway,
        FrameType.WINDOW_UPDATE: _window_update,
        FrameType.CONTINUATION: _continuation,
        FrameType.PRIORITY_UPDATE: _priority_update,
    }

    # Windows.

    def consumed(self, stream: Http2Stream, size: int) -> None:
        """C{size} bytes of a body were taken: the client may send as many again."""
        size = min(size, stream.held)
        stream.held -= size
        self._taken(size)
        if stream.client_sends:
            stream.owed += size
            if stream.owed >= stream.size // 2:
                more = stream.owed
                if self.counts.left >= CONNECTION_WINDOW // 2:
                    more += stream.grow(LARGEST_WINDOW)
                stream.window += more
                self.sender.window(stream.number, more)
                stream.owed = 0

    def _taken(self, size: int) -> None:
        more = self._window.taken(size)
        if more:
            self.sender.window(0, more)

    def nudge(self) -> None:
        """Say something: curl 7.88 sees that a stream is over only when more comes."""
        self.sender.window(0, self._window.rest())

    def _let_go(self, stream: Http2Stream) -> None:
        """What is held of the body of C{stream} is wanted no more."""
        held, stream.held = stream.held, 0
        self._taken(held)

    # Streams end.

    def end(self, stream: Http2Stream, trailers: bytes | None) -> None:
        """
        End C{stream} behind what waits to be sent.

        If the client still sends, it is an early answer. A reset could overtake that, and curl
        waits for its windows whatever it is told: what comes is read, and thrown away.
        """
        self.sender.end(stream, trailers)
        if stream.client_sends:
            stream.discards = True
            self.consumed(stream, stream.held)

    def sent(self) -> list[Http2Stream]:
        """The streams whose end was sent since this was asked last."""
        ended, self.sender.ended = self.sender.ended, []
        for stream in ended:
            stream.we_ended()
            if stream.state is StreamState.CLOSED:
                self._close(stream)
        return ended

    def _client_ended(self, stream: Http2Stream) -> None:
        stream.client_ended()
        if stream.state is StreamState.CLOSED:
            self._close(stream)

    def reset(self, stream: Http2Stream, code: ErrorCode, now: float) -> StreamReset:
        """
        Reset C{stream}, which is open.

        @raise Http2Error: that was once too often.
        """
        self._close(stream)
        self._put_reset(stream.number, code, now)
        return StreamReset(stream, code, True)

    def _stream_error(self, number: int, code: ErrorCode, now: float) -> Http2Event | None:
        stream = self.streams.get(number)
        if stream is not None:
            return self.reset(stream, code, now)
        if number > self.counts.last_stream:
            raise Http2Error(code, "an error on a stream that is idle")
        self._put_reset(number, code, now)
        return None

    def _put_reset(self, number: int, code: ErrorCode, now: float) -> None:
        self._reset.append(number)
        self.sender.put(write_frame(FrameType.RST_STREAM, 0, number, code.to_bytes(4, "big")))
        self._guard.happened(Flood.RESET, now)

    def _close(self, stream: Http2Stream) -> None:
        self.sender.forget(stream)
        self._let_go(stream)
        if stream.state is not StreamState.CLOSED:
            stream.move(StreamState.CLOSED)
        if self.streams.pop(stream.number, None) is not None:
            self.counts.open -= 1
            self.counts.heads -= stream.cost
