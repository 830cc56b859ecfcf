"""The header of the PROXY protocol: golden bytes, and any bytes in any pieces."""

from __future__ import annotations

import struct
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.origin import UNIX
from subproxy.frontend.proxy_protocol.crc32c import crc32c
from subproxy.frontend.proxy_protocol.header import (
    LONGEST,
    SIGNATURE,
    ProxyHeader,
    ProxyHeaderError,
    ProxyHeaderParser,
)
from tests.fuzz.proxy_header_target import run as run_target
from tests.rigs.paths import ROOT

V4 = bytes.fromhex("c0000207 c6336401 dc04 01bb")
V6 = bytes.fromhex("20010db8000000000000000000000007 20010db8000000000000000000000001 dc04 01bb")
MAPPED = bytes.fromhex("00000000000000000000ffffc0000207") * 2 + b"\xdc\x04\x01\xbb"
PATHS = b"/run/a.sock".ljust(108, b"\0") + b"/run/b.sock".ljust(108, b"\0")
GET = b"GET / HTTP/1.1\r\n"


def v2(command: int, family: int, block: bytes = b"", version: int = 2) -> bytes:
    return (
        SIGNATURE + bytes((version << 4 | command, family)) + struct.pack("!H", len(block)) + block
    )


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def summed(header: bytes, at: int) -> bytes:
    """C{header}, whose checksum is at C{at} and nought."""
    return header[:at] + struct.pack("!I", crc32c(header)) + header[at + 4 :]


SSL = tlv(0x20, b"\x01" + bytes(4) + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"CN"))
WITH_SUM = summed(v2(1, 0x11, V4 + tlv(4, b"pad") + tlv(3, bytes(4)) + SSL), 16 + 12 + 6 + 3)
TWO_SUMS = summed(v2(1, 0x11, V4 + tlv(3, bytes(4)) + tlv(3, bytes(4))), 16 + 12 + 3)

GOOD: list[tuple[bytes, ProxyHeader]] = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", ProxyHeader(1, b"192.0.2.7")),
    (
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        ProxyHeader(1, b"255.255.255.255"),
    ),
    (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", ProxyHeader(1, b"0.0.0.0")),
    (b"PROXY TCP6 2001:DB8::7 ::1 1 2\r\n", ProxyHeader(1, b"2001:db8::7")),
    (
        b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
        b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        ProxyHeader(1, b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.8 1 2\r\n", ProxyHeader(1, b"192.0.2.7")),
    (b"PROXY UNKNOWN\r\n", ProxyHeader(1)),
    (b"PROXY UNKNOWN \xff anything \x1b at all\r\n", ProxyHeader(1)),
    (
        b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
        b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        ProxyHeader(1),
    ),
    (v2(0, 0x00), ProxyHeader(2)),
    (v2(0, 0x11, V4), ProxyHeader(2)),
    (v2(0, 0x99, b"whatever it is"), ProxyHeader(2)),
    (v2(1, 0x00), ProxyHeader(2)),
    (v2(1, 0x00, tlv(2, b"a.example")), ProxyHeader(2)),
    (v2(1, 0x11, V4), ProxyHeader(2, b"192.0.2.7")),
    (v2(1, 0x12, V4), ProxyHeader(2, b"192.0.2.7")),
    (v2(1, 0x10, V4), ProxyHeader(2)),
    (v2(1, 0x21, V6), ProxyHeader(2, b"2001:db8::7")),
    (v2(1, 0x21, MAPPED), ProxyHeader(2, b"192.0.2.7")),
    (v2(1, 0x31, PATHS), ProxyHeader(2, UNIX)),
    (v2(1, 0x32, PATHS), ProxyHeader(2, UNIX)),
    (v2(1, 0x11, V4 + tlv(0xEE, b"custom") + tlv(5, b"id" * 64)), ProxyHeader(2, b"192.0.2.7")),
    (v2(1, 0x11, V4 + tlv(4, b"")), ProxyHeader(2, b"192.0.2.7")),
    (v2(1, 0x11, V4 + SSL), ProxyHeader(2, b"192.0.2.7", True)),
    (v2(1, 0x11, V4 + tlv(0x20, bytes(5))), ProxyHeader(2, b"192.0.2.7")),
    (v2(1, 0x11, V4 + tlv(0x20, b"")), ProxyHeader(2, b"192.0.2.7")),
    (WITH_SUM, ProxyHeader(2, b"192.0.2.7", True)),
    (v2(1, 0x11, V4 + tlv(4, bytes(LONGEST - 31))), ProxyHeader(2, b"192.0.2.7")),
]

BAD: list[tuple[bytes, str]] = [
    (GET, "does not begin with"),
    (b"\x16\x03\x01", "does not begin with"),
    (b"PROX\r\n", "does not begin with"),
    (b"proxy TCP4 192.0.2.7 192.0.2.8 1 2\r\n", "does not begin with"),
    (b"PROXY\r\n", "not TCP4, TCP6 or UNKNOWN"),
    (b"PROXY  TCP4 192.0.2.7 192.0.2.8 1 2\r\n", "not TCP4, TCP6 or UNKNOWN"),
    (b"PROXYTCP4 192.0.2.7 192.0.2.8 1 2\r\n", "not TCP4, TCP6 or UNKNOWN"),
    (b"PROXY UDP4 192.0.2.7 192.0.2.8 1 2\r\n", "not TCP4, TCP6 or UNKNOWN"),
    (b"PROXY UNKNOWNX\r\n", "not TCP4, TCP6 or UNKNOWN"),
    (b"PROXY TCP4\r\n", "not TCP4, TCP6 or UNKNOWN"),
    (b"PROXY TCP4 192.0.2.7 192.0.2.8 1\r\n", "not TCP4, TCP6 or UNKNOWN"),
    (b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2 3\r\n", "not TCP4, TCP6 or UNKNOWN"),
    (b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2 \r\n", "not TCP4, TCP6 or UNKNOWN"),
    (b"PROXY TCP4 192.0.2.07 192.0.2.8 1 2\r\n", "address that is none"),
    (b"PROXY TCP4 192.0.2 192.0.2.8 1 2\r\n", "address that is none"),
    (b"PROXY TCP4 192.0.2.7 ::1 1 2\r\n", "address that is none"),
    (b"PROXY TCP6 192.0.2.7 ::1 1 2\r\n", "address that is none"),
    (b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "zone"),
    (b"PROXY TCP4 \xff 192.0.2.8 1 2\r\n", "address that is none"),
    (b"PROXY TCP4 192.0.2.7 192.0.2.8 01 2\r\n", "port that is none"),
    (b"PROXY TCP4 192.0.2.7 192.0.2.8 65536 2\r\n", "port that is none"),
    (b"PROXY TCP4 192.0.2.7 192.0.2.8 +1 2\r\n", "port that is none"),
    (b"PROXY TCP4 192.0.2.7 192.0.2.8 1 \r\n", "port that is none"),
    (b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\n", "CR LF"),
    (b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\rx", "CR LF"),
    (b"PROXY UNKNOWN\r\r\n", "CR LF"),
    (b"PROXY UNKNOWN " + b"x" * 93, "longer than 107"),
    (b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", "longer than 107"),
    (SIGNATURE + b"\x11", "version 1"),
    (v2(1, 0x11, V4, 3), "version 3"),
    (v2(2, 0x11, V4), "command 2"),
    (v2(15, 0x00), "command 15"),
    (v2(1, 0x41, V4), "family 0x41"),
    (v2(1, 0x13, V4), "family 0x13"),
    (v2(1, 0x11, V4[:-1]), "cut off"),
    (v2(1, 0x21, V4), "cut off"),
    (v2(1, 0x31, PATHS[:-1]), "cut off"),
    (v2(1, 0x11, V4 + b"\x04"), "TLV of version 2 is cut off"),
    (v2(1, 0x11, V4 + b"\x04\x00"), "TLV of version 2 is cut off"),
    (v2(1, 0x11, V4 + b"\x04\x00\x02x"), "TLV of version 2 is cut off"),
    (v2(1, 0x11, V4 + tlv(3, bytes(3))), "not 4 bytes"),
    (v2(1, 0x11, V4 + tlv(3, bytes(4))), "checksum of version 2 is wrong"),
    (TWO_SUMS, "second checksum"),
    (WITH_SUM[:20] + b"\x00" + WITH_SUM[21:], "checksum of version 2 is wrong"),
    (v2(1, 0x11, V4 + tlv(4, bytes(LONGEST)))[:16], "longer than 8192"),
]


def run(data: bytes, cuts: list[int]) -> tuple[object, bytes]:
    """What comes of C{data} in pieces; an error, or a header and what is behind it."""
    parser = ProxyHeaderParser()
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    found: ProxyHeader | None = None
    behind = b""
    for begin, end in pairwise(edges):
        if found is not None:
            behind += data[begin:end]
            continue
        try:
            found = parser.feed(data[begin:end])
        except ProxyHeaderError as error:
            return str(error), b""
        if found is not None:
            behind = parser.rest
    return found, behind


MIXED = st.one_of(
    st.sampled_from([header + GET for header, _ in GOOD]),
    st.sampled_from([header for header, _ in BAD]),
    st.binary(max_size=40).map(lambda rest: SIGNATURE + rest),
    st.binary(max_size=40).map(lambda rest: b"PROXY " + rest),
    st.binary(max_size=40),
    st.builds(
        v2, st.integers(0, 2), st.integers(0, 255), st.binary(max_size=60), st.integers(0, 3)
    ),
)


class HeaderTests(SynchronousTestCase):
    def test_good(self) -> None:
        """Each form, with what follows it."""
        for data, header in GOOD:
            self.assertEqual(run(data, []), (header, b""), data)
            self.assertEqual(run(data + GET, []), (header, GET), data)
            self.assertEqual(run(data + data, []), (header, data), data)

    def test_bad(self) -> None:
        """Each is refused, with a reason; also byte by byte, as soon as that can be known."""
        for data, reason in BAD:
            said, _ = run(data, [])
            self.assertIsInstance(said, str, data)
            self.assertIn(reason, str(said), data)
            self.assertEqual(run(data, list(range(len(data)))), (said, b""), data)

    def test_in_part(self) -> None:
        """Every beginning of a good one waits for more, byte by byte."""
        for data, header in GOOD:
            if len(data) > 300:
                continue
            for end in range(len(data)):
                parser = ProxyHeaderParser()
                self.assertIsNone(parser.feed(data[:end]), data[:end])
                self.assertEqual(parser.feed(data[end:]), header)

    @given(MIXED, st.lists(st.integers(0, 400), max_size=6))
    @example(b"PROXY UNKNOWN\r" + b"\n", [14])
    def test_a_split_changes_nothing(self, data: bytes, cuts: list[int]) -> None:
        """The same header, rest, or refusal, in whatever pieces."""
        self.assertEqual(run(data, cuts), run(data, []))

    @given(st.one_of(MIXED, st.binary()))
    def test_bounded(self, data: bytes) -> None:
        """Nothing else is raised, and no more is held than the longest header."""
        parser = ProxyHeaderParser()
        try:
            header = parser.feed(data)
        except ProxyHeaderError:
            return
        if header is None:
            self.assertLess(len(data), LONGEST)
        else:
            self.assertTrue(data.endswith(parser.rest))

    def test_began(self) -> None:
        """Whether anything has come."""
        parser = ProxyHeaderParser()
        self.assertFalse(parser.began)
        parser.feed(b"P")
        self.assertTrue(parser.began)


class CorpusTests(SynchronousTestCase):
    def test_corpus(self) -> None:
        """What the search began with, and what it has found."""
        inputs = sorted((ROOT / "tests" / "corpus" / "proxy_header").iterdir())
        self.assertGreater(len(inputs), 20)
        for path in inputs:
            run_target(path.read_bytes())


class ChecksumTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """The check value of the catalogue, and those of RFC 3720 appendix B.4."""
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)
        self.assertEqual(crc32c(bytes(32)), 0x8A9136AA)
        self.assertEqual(crc32c(b"\xff" * 32), 0x62A8AB43)
        self.assertEqual(crc32c(bytes(range(32))), 0x46DD794E)
