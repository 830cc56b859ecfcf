"""
The common exchange of a guest in two steps: a request that came whole, answered whole.

L{WholeExchanges.next_whole} recognises the frame of such a request and checks of it all that
L{subproxy.wire.messages.parse} would; what is not one, or is wrong in any way, it leaves where it
is, and L{WireConnection.next_event<subproxy.wire.connection.WireConnection.next_event>} decides.
An exchange that is answered in the same turn has no state. L{WholeExchanges.adopt_request} gives
it one, as if its request had come the other way: before the turn ends, or the response is begun.

Compiled a second time: L{subproxy.wire._whole_frame} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

import tnetstring

from subproxy.wire.bodies import WireBodies
from subproxy.wire.credit import ReceiveWindow, SendWindow
from subproxy.wire.elements import check_elements
from subproxy.wire.errors import FrameError
from subproxy.wire.exchange import WireExchange
from subproxy.wire.fields import Headers, Info
from subproxy.wire.frames import FrameDecoder, encode, encoded_size
from subproxy.wire.limits import (
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_NUMBER,
    MAX_REASON,
    Limits,
)
from subproxy.wire.states import Event, Role, Side

WholeRequest = tuple[int, bytes, bytes, Headers, Info, bytes]
"""Number, method, target, header fields, info, body."""

_VERB = b"7:request,"
_LIST_END = 0x5D
_SHORT = 512
_TALKING = (Side.OPEN, Side.DRAINING)
_BOOLEANS = frozenset({b"trailers", b"stamped"})
_TEXTS = frozenset({b"client", b"scheme", b"version", b"id"})


def whole_request(
    data: bytes, start: int, end: int, inline: int, lower: bool
) -> WholeRequest | None:
    """
    The whole request whose frame is C{data[start:end]}; None if it is not plain, or wrong.

    @param inline: bytes of the longest body that may be within it.
    @param lower: names of fields in lower case.
    """
    if data[end - 1] != _LIST_END:
        return None
    try:
        if end - start > _SHORT:
            check_elements(data, data.find(b":", start) + 1, end - 1)
        frame = tnetstring.loads(data if end - start == len(data) else data[start:end])
        verb, number, method, target, headers, info, body = frame
        size = 0
        fields = []
        for pair in headers:
            name, value = pair
            if type(name) is not bytes or type(value) is not bytes or type(pair) is not list:
                return None
            size += len(name) + len(value)
            fields.append((name.lower() if lower else name, value))
        if (
            verb != b"request"
            or type(number) is not int
            or not 0 < number <= MAX_NUMBER
            or type(method) is not bytes
            or not 0 < len(method) <= 64
            or type(target) is not bytes
            or not 0 < len(target) <= 65_536
            or type(headers) is not list
            or len(headers) > MAX_HEADERS
            or size > MAX_HEADER_BYTES
            or type(info) is not dict
            or type(body) is not bytes
            or len(body) > inline
        ):
            return None
        for key, value in info.items():
            if key in _TEXTS:
                if type(value) is not bytes or len(value) > MAX_REASON:
                    return None
            elif key not in _BOOLEANS or type(value) is not bool:
                return None
        if (len(encode(frame)) if len(body) < _SHORT else encoded_size(frame)) != end - start:
            return None
    except (ValueError, TypeError, OverflowError, RecursionError, FrameError):
        return None
    return number, method, target, fields, info, body


_recognise = whole_request
try:
    from subproxy.wire._whole_frame import whole_request as _recognise
except ImportError:
    pass


class WholeExchanges(WireBodies):
    """
    The part of a guest's connection that takes whole requests.

    @ivar limits: what we take.
    @ivar ours: the state of our side.
    @ivar theirs: the state of the peer's side.
    @ivar last: the highest exchange number so far.
    """

    limits: Limits
    ours: Side
    theirs: Side
    last: int
    _decoder: FrameDecoder
    _chunk: int

    def next_whole(self, lower: bool = False) -> WholeRequest | None:
        """
        The next request, if it is what comes next, is all there and whole. Never raises.

        @param lower: names of fields in lower case.
        """
        decoder = self._decoder
        span = decoder.next_span(_VERB)
        if span is None or self.theirs is not Side.OPEN or self.ours not in _TALKING:
            return None
        start, end = span
        found = _recognise(decoder.held, start, end, self.limits.inline, lower)
        if found is None or found[0] <= self.last:
            return None
        decoder.skip(end)
        self.last = found[0]
        return found

    def adopt_request(self, number: int) -> None:
        """Give the exchange of a whole request, which has not been answered, its state."""
        exchange = WireExchange(
            Role.GUEST,
            number,
            SendWindow(self.peer_limits.window, self._chunk),
            ReceiveWindow(self.limits.window),
        )
        exchange.came(Event.WHOLE)
        self.exchanges[number] = exchange

    def answer_whole(self, number: int, status: int, fields: bytes, body: bytes) -> bool:
        """
        Answer an exchange that has no state, or has had no response.

        @param status: 200 to 599.
        @param fields: the header section, as the payload of the list in the frame: checked.
        @return: whether it was; otherwise the response does not fit into a frame, or the
            connection is over.
        """
        if self.ours not in _TALKING or len(body) > self.peer_limits.inline:
            return False
        digits = b"%d" % number
        payload = b"8:response,%d:%b#3:%d#%d:%b]0:}%d:%b," % (
            len(digits), digits, status, len(fields), fields, len(body), body,
        )  # fmt: skip
        frame = b"%d:%b]" % (len(payload), payload)
        if len(frame) > self._most:
            return False
        self.exchanges.pop(number, None)
        self._out.append(frame)
        return True


def encoded_field(name: bytes, value: bytes) -> bytes:
    """A header field as an element of a frame's list."""
    pair = b"%d:%b,%d:%b," % (len(name), name, len(value), value)
    return b"%d:%b]" % (len(pair), pair)
