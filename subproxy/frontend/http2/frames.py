"""
Frames of HTTP/2: RFC 9113 sections 4, 6 and 7; PRIORITY_UPDATE is RFC 9218's.

Compiled a second time: L{subproxy.fastpath._http2_connection} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from subproxy.frontend.http2.bounds import MOST_SETTINGS

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

HEADER: Final = 9
"""Bytes before the payload of a frame."""

FRAME_SIZE: Final = 16_384
"""Bytes of payload that a frame may have: what nobody has to ask for."""

MOST_WINDOW: Final = 0x7FFF_FFFF
MOST_STREAM: Final = 0x7FFF_FFFF

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
HAS_PRIORITY: Final = 0x20


class FrameType(IntEnum):
    """What a frame is; what is not here is ignored (section 4.1)."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9
    PRIORITY_UPDATE = 0x10


class ErrorCode(IntEnum):
    """Why a stream or a connection ends: section 7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class Http2Setting(IntEnum):
    """What either side tells of itself: section 6.5.2, RFC 8441 and RFC 9218."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6
    ENABLE_CONNECT_PROTOCOL = 8
    NO_RFC7540_PRIORITIES = 9


class Http2Error(Exception):
    """
    The client broke a rule in a way that ends the connection (section 5.4.1).

    @ivar code: what GOAWAY says.
    """

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Frame(NamedTuple):
    """
    One frame.

    @ivar kind: a L{FrameType}, or a number that means nothing here.
    @ivar stream: what it is about; 0 for the connection.
    """

    kind: int
    flags: int
    stream: int
    payload: bytes


_HEAD = Struct(">HBBBI").pack


def write_frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame as bytes."""
    return frame_head(len(payload), kind, flags, stream) + payload


def frame_head(size: int, kind: int, flags: int, stream: int) -> bytes:
    """What stands before C{size} bytes of payload."""
    return _HEAD(size >> 8, size & 255, kind, flags, stream)


def write_settings(settings: dict[Http2Setting, int]) -> bytes:
    """A SETTINGS frame."""
    payload = b"".join(
        [key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in settings.items()]
    )
    return write_frame(FrameType.SETTINGS, 0, 0, payload)


def check_setting(key: int, value: int) -> None:
    """
    Check a setting of the client (section 6.5.2).

    @raise Http2Error: it has a value that it can't have.
    """
    if key == Http2Setting.ENABLE_PUSH and value > 1:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")
    if key == Http2Setting.MAX_FRAME_SIZE and not FRAME_SIZE <= value <= 16_777_215:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of range")
    if key == Http2Setting.INITIAL_WINDOW_SIZE and value > MOST_WINDOW:
        raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "a window is too large")


def protocol_error(reason: str) -> Http2Error:
    """What ends a connection whose client does not keep to the protocol."""
    return Http2Error(ErrorCode.PROTOCOL_ERROR, reason)


def read_settings(frame: Frame) -> list[tuple[int, int]] | None:
    """
    The settings of the client (section 6.5), each with its value; None: it has seen ours.

    @raise Http2Error: they are malformed, more than there are, or one can't have its value.
    """
    payload = frame.payload
    if frame.stream:
        raise protocol_error("SETTINGS on a stream")
    if len(payload) % 6 or (frame.flags & ACK and payload):
        raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a wrong size")
    if frame.flags & ACK:
        return None
    if len(payload) > 6 * MOST_SETTINGS:
        raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "more settings than there are")
    found = []
    for at in range(0, len(payload), 6):
        key = int.from_bytes(payload[at : at + 2], "big")
        value = int.from_bytes(payload[at + 2 : at + 6], "big")
        check_setting(key, value)
        found.append((key, value))
    return found


def read_priority_update(frame: Frame) -> tuple[int, bytes]:
    """
    The stream of a PRIORITY_UPDATE, and its priority (RFC 9218 section 7.1).

    @raise Http2Error: it is malformed.
    """
    if frame.stream:
        raise protocol_error("PRIORITY_UPDATE on a stream")
    if len(frame.payload) < 4:
        raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY_UPDATE of nothing")
    number = int.from_bytes(frame.payload[:4], "big") & MOST_STREAM
    if not number:
        raise protocol_error("PRIORITY_UPDATE of no stream")
    return number, frame.payload[4:]


class FrameReader:
    """
    Cuts what a client sends into frames; its preface comes first.

    @ivar begun: the preface is here.
    """

    __slots__ = ("_held", "begun")

    def __init__(self) -> None:
        self._held = b""
        self.begun = False

    @property
    def partial(self) -> bool:
        """A frame, or the preface, is here in part."""
        return bool(self._held)

    def feed(self, data: bytes) -> list[Frame]:
        """
        The frames that C{data} completes.

        @raise Http2Error: see L{read}.
        """
        return list(self.read(data))

    def read(self, data: bytes) -> Iterator[Frame]:
        """
        The frames that C{data} completes, one by one: they are to be asked for to the last.

        @raise Http2Error: what comes is no HTTP/2, or a frame is too large; where its turn is.
        """
        if self._held:
            data = self._held + data
        at, end = 0, len(data)
        if not self.begun:
            if data[: len(PREFACE)] != PREFACE[:end]:
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "this is not the preface of HTTP/2")
            if end < len(PREFACE):
                self._held = data
                return
            self.begun = True
            at = len(PREFACE)
        while end - at >= HEADER:
            size = int.from_bytes(data[at : at + 3], "big")
            if size > FRAME_SIZE:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "a frame is too large")
            begin = at + HEADER
            if end - begin < size:
                break
            stream = int.from_bytes(data[at + 5 : begin], "big") & MOST_STREAM
            yield Frame(data[at + 3], data[at + 4], stream, data[begin : begin + size])
            at = begin + size
        self._held = data[at:]


def without_padding(flags: int, payload: bytes) -> bytes:
    """
    The payload of DATA or HEADERS (sections 6.1 and 6.2).

    @raise Http2Error: the padding is as long as the payload, or longer.
    """
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - payload[0]]
