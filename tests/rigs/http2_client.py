"""
A client of HTTP/2 in memory: python's h2, which checks nothing that it sends.

    client = Http2Client()
    client.request(1, [(":path", "/")])
    client.take()              # bytes for the proxy
    client.receive(data)       # what the proxy said, by stream: see `told`
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

Headers = list[tuple[bytes, bytes]]

GET: Headers = [
    (b":method", b"GET"),
    (b":scheme", b"http"),
    (b":path", b"/"),
    (b":authority", b"a.example"),
]
POST: Headers = [(b":method", b"POST"), *GET[1:]]

_CODES = tuple(
    f"{code:0{length}b}" for code, length in zip(REQUEST_CODES, REQUEST_CODES_LENGTH, strict=True)
)


class LinearHuffmanEncoder:
    """hpack's own takes a time that grows as the square of a text; every side is told the same."""

    @staticmethod
    @lru_cache(1 << 15)
    def encode(text: bytes) -> bytes:
        """C{text}, in Huffman's code."""
        bits = "".join(map(_CODES.__getitem__, text))
        bits += "1" * (-len(bits) % 8)
        return int(bits or "0", 2).to_bytes(len(bits) // 8, "big")


class Http2Client:
    """
    One connection.

    @ivar told: what the proxy said on each stream, in order; on 0 of the connection.
    @ivar bodies: the data of each stream.
    @param window: opens windows as data come.
    """

    def __init__(self, window: bool = True) -> None:
        self.h2 = H2Connection(
            H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=True,
            )
        )
        self.h2.encoder.huffman_coder = LinearHuffmanEncoder
        self.h2.initiate_connection()
        self.told: dict[int, list[Any]] = {}
        self.bodies: dict[int, bytes] = {}
        self._rest = b""
        self._gone = False
        self.window = window

    def converse(
        self, protocol: Any, advance: Callable[[], object], heard: Callable[[], bytes]
    ) -> None:
        """
        What it has to say goes out, and what the proxy writes comes in, until both rest.

        @param advance: lets the proxy have a turn.
        @param heard: takes what that has written.
        """
        for _ in range(8):
            data = self.take()
            if data:
                protocol.dataReceived(data)
            advance()
            came = heard()
            self.receive(came)
            if not came and not data:
                break

    def take(self) -> bytes:
        """What is to be sent."""
        data: bytes = self.h2.data_to_send()
        return data

    def request(self, number: int, fields: Headers = GET, ended: bool = True) -> None:
        """Open a stream."""
        self.h2.send_headers(number, fields, end_stream=ended)

    def receive(self, data: bytes) -> None:
        """The proxy said something. Behind a GOAWAY h2 reads nothing but another one."""
        data = self._rest + data
        while len(data) >= 9 and len(data) - 9 >= int.from_bytes(data[:3], "big"):
            size = 9 + int.from_bytes(data[:3], "big")
            if not self._gone or data[3] == 7:
                self._read(data[:size])
            data = data[size:]
        self._rest = data

    def _read(self, frame: bytes) -> None:
        for event in self.h2.receive_data(frame):
            told = self.told.setdefault(getattr(event, "stream_id", 0), [])
            if isinstance(event, (ResponseReceived, InformationalResponseReceived)):
                told.append(("head", [(bytes(n), bytes(v)) for n, v in event.headers]))
            elif isinstance(event, TrailersReceived):
                told.append(("trailers", [(bytes(n), bytes(v)) for n, v in event.headers]))
            elif isinstance(event, DataReceived):
                number = event.stream_id
                self.bodies[number] = self.bodies.get(number, b"") + event.data
                if self.window and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, number)
            elif isinstance(event, StreamEnded):
                told.append("end")
            elif isinstance(event, StreamReset):
                told.append(("reset", int(event.error_code)))
            elif isinstance(event, ConnectionTerminated):
                self._gone = True
                self.told.setdefault(0, []).append(
                    ("goaway", int(event.error_code), event.last_stream_id)
                )

    def head(self, number: int) -> dict[bytes, bytes]:
        """The final head that came on a stream."""
        heads = [what[1] for what in self.told.get(number, []) if what[0] == "head"]
        return dict(heads[-1])

    def status(self, number: int) -> bytes:
        """The status that came on a stream; empty if none did."""
        return self.head(number)[b":status"] if self.told.get(number) else b""
