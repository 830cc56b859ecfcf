"""
Compressed messages of WebSockets: permessage-deflate (RFC 7692), on wsproto's.

Reading is done anew: wsproto 1.3.2 forgets at a control frame that the message which it stands in
is compressed, and reads nothing behind a block that has C{BFINAL} set. Imports no framework.
"""

from __future__ import annotations

import zlib
from typing import Any

from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

_TAIL = b"\0\0\xff\xff"
"""What a sender leaves out at the end of each message (section 7.2.1)."""


class MessageDeflate(PerMessageDeflate):
    """
    The extension of one WebSocket, once it is agreed upon.

    A sender may end a message, or any part of one, with a block that has C{BFINAL} set (section
    7.2.1), and goes on with a new one. What follows such a block may not refer to what was before
    it: it does not with zlib, which forgets its window there.
    """

    def __init__(self, **parameters: Any) -> None:
        """See C{PerMessageDeflate}."""
        super().__init__(**parameters)
        self._inflater: Any = None
        self._message = False
        self._frame = False

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        """A frame begins: whether it is compressed says the first one of its message."""
        if rsv.rsv1 and (opcode.iscontrol() or opcode is Opcode.CONTINUATION):
            return CloseReason.PROTOCOL_ERROR
        if opcode.iscontrol():
            self._frame = False
        else:
            if opcode is not Opcode.CONTINUATION:
                self._message = rsv.rsv1
            self._frame = self._message
        return RsvBits(True, False, False)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        """Some of a frame's payload."""
        return self._inflated(proto, data) if self._frame else data

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        """A frame is whole; with C{fin} its message is, too."""
        if not fin or not self._frame:
            return None
        data = self._inflated(proto, _TAIL)
        if self.server_no_context_takeover if proto.client else self.client_no_context_takeover:
            self._inflater = None
        return data

    def _inflated(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:
        bits = self.server_max_window_bits if proto.client else self.client_max_window_bits
        found = b""
        try:
            while data:
                if self._inflater is None:
                    self._inflater = zlib.decompressobj(-bits)
                found += self._inflater.decompress(data)
                if not self._inflater.eof:
                    break
                data, self._inflater = self._inflater.unused_data, None
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        return found
