"""Tests for L{guest.core.message_deflate}."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, TextMessage
from wsproto.extensions import PerMessageDeflate

from guest.core.message_deflate import MessageDeflate

OFFER = "permessage-deflate"
HELLO = bytes.fromhex("f348cdc9c9070000")
"""C{Hello} with a block that has BFINAL set: RFC 7692 section 7.2.3.4."""


def server(offer: str = OFFER) -> Connection:
    """Reads by what is tested."""
    extension = MessageDeflate()
    extension.accept(offer)
    return Connection(ConnectionType.SERVER, [extension])


def client(said: str = OFFER) -> Connection:
    """Writes as wsproto does."""
    extension = PerMessageDeflate()
    extension.finalize(said)
    return Connection(ConnectionType.CLIENT, [extension])


def frame(head: int, payload: bytes) -> bytes:
    """A short frame of a client, masked by zeros."""
    return bytes((head, 0x80 | len(payload))) + bytes(4) + payload


def messages(connection: Connection, *pieces: bytes) -> list[bytes]:
    """Those that come in C{pieces}; texts in UTF-8."""
    found: list[bytes] = []
    whole = b""
    for piece in pieces:
        connection.receive_data(piece)
        for event in connection.events():
            if isinstance(event, Message):
                whole += event.data.encode() if isinstance(event.data, str) else event.data
                if event.message_finished:
                    found.append(whole)
                    whole = b""
    return found


def finished(data: bytes) -> bytes:
    """C{data} as a stream of its own that ends with BFINAL, and in a whole byte."""
    writer = zlib.compressobj(wbits=-15)
    return writer.compress(data) + writer.flush(zlib.Z_FINISH)


class MessageDeflateTests(SynchronousTestCase):
    def test_a_ping_between_the_frames_of_a_message(self) -> None:
        """What comes behind it belongs to the message, and is compressed (RFC 6455 section 5.4)."""
        writer, reader = client(), server()
        for _ in range(2):
            data = writer.send(TextMessage(data="once ", message_finished=False))
            data += writer.send(Ping(payload=b"there?"))
            data += writer.send(TextMessage(data="and again"))
            self.assertEqual(messages(reader, data), [b"once and again"])

    def test_the_example_of_the_rfc(self) -> None:
        """BFINAL is set; what is sent afterwards is read, too."""
        reader = server()
        for _ in range(3):
            self.assertEqual(messages(reader, frame(0xC1, HELLO)), [b"Hello"])
        self.assertEqual(messages(reader, client().send(TextMessage(data="more"))), [b"more"])

    def test_each_frame_ends_with_bfinal(self) -> None:
        data = frame(0x42, finished(b"one ")) + frame(0x00, finished(b"two "))
        data += frame(0x80, finished(b"three") + b"\0")
        reader = server()
        self.assertEqual(messages(reader, data), [b"one two three"])
        self.assertEqual(messages(reader, frame(0xC2, HELLO)), [b"Hello"])

    def test_uncompressed_messages_between(self) -> None:
        reader, writer = server(), client()
        first, last = (writer.send(BytesMessage(data=b"a" * 99)) for _ in range(2))
        between = frame(0x02, b"as it ") + frame(0x89, b"") + frame(0x80, b"is")
        self.assertEqual(
            messages(reader, first + between + last), [b"a" * 99, b"as it is", b"a" * 99]
        )

    def test_no_context_takeover(self) -> None:
        offer = f"{OFFER}; client_no_context_takeover; client_max_window_bits=9"
        reader, writer = server(offer), client(offer)
        for _ in range(2):
            data = writer.send(BytesMessage(data=b"abc" * 700))
            self.assertEqual(messages(reader, data), [b"abc" * 700])

    def test_what_is_no_deflate(self) -> None:
        reader = server()
        reader.receive_data(frame(0xC2, b"\xff\xff\xff"))
        (event,) = reader.events()
        assert isinstance(event, CloseConnection)
        self.assertEqual(event.code, 1007)

    def test_rsv1_where_it_may_not_be(self) -> None:
        """Behind the first frame of a message, and in a control frame (section 6)."""
        for data in (frame(0x42, b"") + frame(0xC0, HELLO), frame(0xC9, b"")):
            reader = server()
            reader.receive_data(data)
            *_, event = reader.events()
            assert isinstance(event, CloseConnection)
            self.assertEqual(event.code, 1002)

    @given(
        st.lists(
            st.lists(
                st.tuples(st.binary(max_size=99), st.booleans(), st.booleans()),
                min_size=1,
                max_size=4,
            ),
            max_size=5,
        ),
        st.integers(1, 40),
    )
    def test_any_frames(self, sent: list[list[tuple[bytes, bool, bool]]], size: int) -> None:
        """Messages of frames, with BFINAL and pings or without, in pieces."""
        reader, data = server(), b""
        for parts in sent:
            for at, (part, final, ping) in enumerate(parts):
                first, last = at == 0, at == len(parts) - 1
                writer = zlib.compressobj(wbits=-15)
                packed = writer.compress(part)
                packed += writer.flush(zlib.Z_FINISH if final else zlib.Z_SYNC_FLUSH)
                if last:
                    packed = packed + b"\0" if final else packed[:-4]
                head = (0x42 if first else 0) | (0x80 if last else 0)
                data += frame(head, packed) + (frame(0x89, b"p") if ping else b"")
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        expected = [b"".join(part for part, _, _ in parts) for parts in sent]
        self.assertEqual(messages(reader, *pieces), expected)
