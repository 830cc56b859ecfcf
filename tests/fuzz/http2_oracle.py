"""
What other implementations, python's hpack and h2, make of what a client sends: oracles.

    python -m tests.fuzz.fuzz_http2 hpack 1 100000      # blocks, right and hostile
    python -m tests.fuzz.fuzz_http2 requests 1 10000    # requests, in any frames and pieces

They are strict and lenient in other places than we are; each difference that is meant has a name
here.
"""

from __future__ import annotations

import random
from collections import Counter

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded, TrailersReceived
from h2.events import StreamReset as PeerReset
from h2.settings import SettingCodes
from hpack import Decoder, Encoder, HPACKError

from subproxy.fastpath._hpack import FastHpackDecoder
from subproxy.frontend.http2.connection import Http2Connection
from subproxy.frontend.http2.counts import Http2Counts
from subproxy.frontend.http2.events import BodyCame, RequestCame, StreamReset
from subproxy.frontend.http2.flood import FloodGuard
from subproxy.frontend.http2.frames import (
    END_HEADERS,
    END_STREAM,
    HAS_PRIORITY,
    PADDED,
    FrameReader,
    FrameType,
    write_frame,
)
from subproxy.frontend.http2.hpack import HpackError
from tests.rigs.hpack_blocks import some_blocks
from tests.rigs.http2_client import GET, POST, Headers

_LARGE = 1 << 20


def blocks(seed: int) -> None:
    """One connection: blocks, some of them changed, to our decoder and to python's hpack."""
    chosen = random.Random(seed)
    ours, theirs = FastHpackDecoder(), Decoder(_LARGE)
    theirs.max_allowed_table_size = 4096
    for block in some_blocks(chosen):
        found = ours_of(ours, block)
        expected = theirs_of(theirs, block)
        if found != expected:
            assert found is None, (seed, block, found, expected)
            assert we_are_stricter(block, expected), (seed, block, found, expected)
        if found is None:
            break


def ours_of(decoder: FastHpackDecoder, block: bytes) -> Headers | None:
    """What we make of it; None for an error."""
    try:
        return decoder.decode(block, _LARGE, 10_000)
    except HpackError:
        return None


def theirs_of(decoder: Decoder, block: bytes) -> Headers | None:
    """What python's hpack makes of it; None for an error."""
    try:
        return [(bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True)]
    except HPACKError:
        return None


def we_are_stricter(block: bytes, theirs: Headers | None) -> bool:
    """
    Whether there is a number in C{block} of more bytes than one can need: RFC 7541 section 5.1
    wants such refused, and python's hpack reads what zeros stand before.
    """
    return theirs is not None and (b"\x80" * 4 in block or b"\xff\xff\xff" in block)


# Requests.

_NAMES = [(b"x-%d" % each, b"v" * (37 * each)) for each in range(12)]


class Said:
    """
    A conversation of a client that keeps to the rules.

    @ivar data: what it sends.
    @ivar windows: it never sends more than it may.
    """

    def __init__(self, chosen: random.Random) -> None:
        self._chosen = chosen
        self._encoder = Encoder()
        client = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        if chosen.random() < 0.3:
            client.local_settings[SettingCodes.INITIAL_WINDOW_SIZE] = chosen.randrange(70_000)
        client.initiate_connection()
        self.data = client.data_to_send()
        streams = [list(self._stream(number)) for number in range(1, 13, 2)]
        waiting = streams[: chosen.randrange(1, len(streams) + 1)]
        opened: list[list[bytes]] = []
        while waiting or opened:
            # Streams are opened in order; what follows on each comes in any order.
            if waiting and (not opened or chosen.random() < 0.5):
                opened.append(waiting.pop(0))
            else:
                opened.append(opened.pop(chosen.randrange(len(opened))))
            self.data += opened[-1].pop(0)
            if not opened[-1]:
                opened.pop()
            if chosen.random() < 0.2:
                self.data += self._other()

    def _other(self) -> bytes:
        """Something that means nothing to a request."""
        return self._chosen.choice(
            (
                write_frame(FrameType.PING, 0, 0, b"12345678"),
                write_frame(FrameType.WINDOW_UPDATE, 0, 0, b"\0\0\1\0"),
                write_frame(FrameType.SETTINGS, 0, 0, b"\0\x04\0\0\x20\0"),
                write_frame(0xBB, 7, 9, b"unknown"),
                write_frame(FrameType.PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=1"),
            )
        )

    def _stream(self, number: int) -> list[bytes]:
        """The frames of one request."""
        chosen = self._chosen
        fields = [*(GET if chosen.random() < 0.5 else POST)]
        fields += chosen.sample(_NAMES, chosen.randrange(6))
        pieces = [
            chosen.randbytes(chosen.choice((0, 1, 100, 3000))) for _ in range(chosen.randrange(4))
        ]
        trailers = [(b"x-trailer", b"v")] if chosen.random() < 0.2 else []
        ended = not pieces and not trailers
        # A field block is one unit: nothing may come between its frames.
        out = [self._block(number, fields, ended)]
        for at, piece in enumerate(pieces):
            last = at == len(pieces) - 1 and not trailers
            out.append(self._frame(FrameType.DATA, END_STREAM if last else 0, number, piece))
        if trailers:
            out.append(self._block(number, trailers, True))
        return out

    def _block(self, number: int, fields: Headers, ended: bool) -> bytes:
        block = self._encode(fields)
        cuts = sorted(
            self._chosen.randrange(len(block) + 1) for _ in range(self._chosen.randrange(3))
        )
        parts = [block[a:b] for a, b in zip([0, *cuts], [*cuts, len(block)], strict=True)]
        out = b""
        for at, part in enumerate(parts):
            flags = END_HEADERS if at == len(parts) - 1 else 0
            if at:
                out += write_frame(FrameType.CONTINUATION, flags, number, part)
            else:
                out += self._frame(
                    FrameType.HEADERS, flags | (END_STREAM if ended else 0), number, part
                )
        return out

    def _encode(self, fields: Headers) -> bytes:
        """
        Fields as they are encoded; those that a table keeps have to be sent in the order in which
        they were encoded, so the table stays empty.
        """
        self._encoder.header_table_size = 0
        return bytes(self._encoder.encode(fields, huffman=self._chosen.random() < 0.5))

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> bytes:
        chosen = self._chosen
        if kind == FrameType.HEADERS and chosen.random() < 0.2:
            flags |= HAS_PRIORITY
            payload = b"\0\0\0\0\x10" + payload
        if payload and chosen.random() < 0.2:
            # h2 refuses a head with nothing but padding: findings/hyperframe-padded-headers.sh.
            size = chosen.randrange(20)
            flags |= PADDED
            payload = bytes((size,)) + payload + bytes(size)
        return write_frame(kind, flags, number, payload)


Heard = dict[int, tuple[Headers, bytes, Headers, bool]]


def requests(seed: int) -> None:
    """What a client says that keeps to the rules, in any pieces: the same requests."""
    chosen = random.Random(seed)
    data = Said(chosen).data
    cuts = sorted(chosen.randrange(len(data) + 1) for _ in range(chosen.randrange(5)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    found, expected = heard_by_us(pieces), heard_by_h2(pieces)
    assert found == expected, (seed, found, expected)


def heard_by_us(pieces: list[bytes]) -> Heard:
    """By our machine, whose guests take all at once."""
    connection = Http2Connection(
        FastHpackDecoder(), Http2Counts(), FloodGuard(Counter()), _LARGE, 1000
    )
    connection.begin(False)
    reader = FrameReader()
    heard: Heard = {}
    for piece in pieces:
        for frame in reader.read(piece):
            event = connection.receive(frame, 0.0)
            if isinstance(event, RequestCame):
                heard[event.stream.number] = (event.fields or [], b"", [], event.ended)
            elif isinstance(event, BodyCame):
                fields, body, _, _ = heard[event.stream.number]
                whole = body + event.data
                heard[event.stream.number] = (fields, whole, event.trailers, event.ended)
                connection.consumed(event.stream, event.stream.held)
            else:
                assert not isinstance(event, StreamReset), event
    return heard


def heard_by_h2(pieces: list[bytes]) -> Heard:
    """By python's h2."""
    server = H2Connection(
        H2Configuration(client_side=False, header_encoding=None, validate_inbound_headers=True)
    )
    server.initiate_connection()
    heard: Heard = {}
    for piece in pieces:
        for event in server.receive_data(piece):
            if isinstance(event, RequestReceived):
                heard[event.stream_id] = (plain(event.headers), b"", [], False)
                continue
            number = getattr(event, "stream_id", 0)
            fields, body, trailers, ended = heard.get(number, ([], b"", [], False))
            if isinstance(event, DataReceived):
                heard[number] = (fields, body + event.data, trailers, ended)
                server.acknowledge_received_data(event.flow_controlled_length, number)
            elif isinstance(event, TrailersReceived):
                heard[number] = (fields, body, plain(event.headers), ended)
            elif isinstance(event, StreamEnded):
                heard[number] = (fields, body, trailers, True)
            assert not isinstance(event, PeerReset), event
    return heard


def plain(fields: object) -> Headers:
    """Fields as tuples."""
    return [(bytes(name), bytes(value)) for name, value in fields]  # type: ignore[attr-defined]
