"""What is read of a ClientHello: of real ones, cut anywhere, and of whatever else may come."""

from __future__ import annotations

import ssl
from unittest import SkipTest

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.tls.client_hello import (
    MAX_HELLO,
    MAX_RECORDS,
    ClientHello,
    NotTls,
    read_client_hello,
)


def hello(name: str | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.maximum_version = version
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(into, out, False, name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def records(message: bytes, size: int) -> bytes:
    """The handshake message in records of so many bytes."""
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(each).to_bytes(2, "big") + each for each in pieces)


HELLO = hello("Blog.Example.")
OTHERS = [hello(None), hello("b.example", ssl.TLSVersion.TLSv1_2), records(HELLO[5:], 200)]


class ReadTests(SynchronousTestCase):
    def test_name(self) -> None:
        self.assertEqual(read_client_hello(HELLO), ClientHello(b"blog.example"))
        old = hello("b.example", ssl.TLSVersion.TLSv1_2)
        self.assertEqual(read_client_hello(old + b"more"), ClientHello(b"b.example"))

    def test_no_name(self) -> None:
        self.assertEqual(read_client_hello(hello(None)), ClientHello(None))

    def test_cut_anywhere(self) -> None:
        for end in range(len(HELLO)):
            self.assertIsNone(read_client_hello(HELLO[:end]), end)

    def test_in_small_records(self) -> None:
        # OpenSSL 3.5's has a key of X25519MLKEM768, and is four times as long as 3.0's.
        for size in (-(-len(HELLO) // MAX_RECORDS), 64, 200):
            data = records(HELLO[5:], size)
            self.assertEqual(read_client_hello(data), ClientHello(b"blog.example"))
            self.assertIsNone(read_client_hello(data[:-1]))

    def test_too_many_records(self) -> None:
        self.assertRaises(NotTls, read_client_hello, records(HELLO[5:], 1))

    def test_too_large(self) -> None:
        head = b"\x01" + (MAX_HELLO + 1).to_bytes(3, "big")
        self.assertRaises(NotTls, read_client_hello, records(head, 4))
        self.assertRaises(NotTls, read_client_hello, b"\x16\x03\x01\xff\xff" + bytes(9))
        self.assertRaises(NotTls, read_client_hello, b"\x16\x03\x01\x00\x00" + bytes(9))

    def test_another_message(self) -> None:
        self.assertRaises(NotTls, read_client_hello, records(b"\x02" + HELLO[6:], 9999))
        self.assertRaises(NotTls, read_client_hello, b"\x16\x02" + HELLO[2:])

    def test_http(self) -> None:
        for begin in (b"G", b"GE", b"PRI"):
            self.assertIsNone(read_client_hello(begin))
        for data in (b"GET / HTTP/1.1\r\n", b"OPTIONS"):
            self.assertTrue(self.assertRaises(NotTls, read_client_hello, data).http)
        for data in (b"\x80", b"SSH-2.0", b"GEX "):
            self.assertFalse(self.assertRaises(NotTls, read_client_hello, data).http)

    @given(st.binary(max_size=300))
    def test_anything(self, data: bytes) -> None:
        for given_data in (data, b"\x16\x03\x01" + data, records(data, 100)):
            try:
                read_client_hello(given_data)
            except NotTls:
                pass

    @given(st.data())
    def test_damaged(self, data: st.DataObject) -> None:
        """A hello with other bytes in it is one without a name, with another, or none."""
        damaged = bytearray(HELLO)
        for _ in range(data.draw(st.integers(1, 4))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        try:
            read_client_hello(bytes(damaged))
        except NotTls:
            pass


class CompiledTests(SynchronousTestCase):
    """What is compiled reads the same."""

    def both(self, data: bytes) -> None:
        try:
            from subproxy.frontend.tls import _client_hello
        except ImportError as error:
            raise SkipTest(str(error))
        found: list[object] = []
        for read in (read_client_hello, _client_hello.read_client_hello):
            try:
                found.append(read(data))
            except NotTls as error:
                found.append((str(error), error.http))
        self.assertEqual(found[0], found[1], data)

    def test_cut_anywhere(self) -> None:
        for end in range(len(HELLO)):
            self.both(HELLO[:end])

    def test_lengths(self) -> None:
        """Every byte that is one, larger and smaller."""
        for at in range(len(HELLO)):
            for value in (0, 1, 0x7F, 0xFF, HELLO[at] + 1 & 255, HELLO[at] - 1 & 255):
                self.both(HELLO[:at] + bytes([value]) + HELLO[at + 1 :])

    @given(st.data())
    def test_the_same(self, data: st.DataObject) -> None:
        hello = bytearray(data.draw(st.sampled_from([HELLO, *OTHERS])))
        for _ in range(data.draw(st.integers(0, 4))):
            hello[data.draw(st.integers(0, len(hello) - 1))] = data.draw(st.integers(0, 255))
        end = data.draw(st.integers(0, len(hello)))
        self.both(bytes(hello[: end or None]))

    @given(st.binary(max_size=80))
    def test_any_message(self, message: bytes) -> None:
        """Behind a header that is right."""
        body = b"\x01" + len(message).to_bytes(3, "big") + message
        self.both(b"\x16\x03\x01" + len(body).to_bytes(2, "big") + body)
