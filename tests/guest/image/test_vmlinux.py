"""The kernel inside a bzImage, however it is packed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest.image.vmlinux import BzImageError, extract, lz4_block

KERNEL = b"\x7fELF" + b"kernel" * 100


def bzimage(payload: bytes) -> bytes:
    """As much of a bzImage as says where its payload is."""
    head = bytearray(512 * 3)
    head[0x1F1] = 2
    head[0x202:0x206] = b"HdrS"
    head[0x248:0x250] = struct.pack("<II", 100, len(payload))
    return bytes(head) + bytes(100) + payload + b"after"


def lz4_literals(data: bytes) -> bytes:
    """A block that copies nothing."""
    if len(data) < 15:
        return bytes([len(data) << 4]) + data
    more = len(data) - 15
    return b"\xf0" + b"\xff" * (more // 255) + bytes([more % 255]) + data


class ExtractTests(SynchronousTestCase):
    def test_every_way_of_packing(self) -> None:
        size = struct.pack("<I", len(KERNEL))
        block = lz4_literals(KERNEL)
        for payload in (
            gzip.compress(KERNEL),
            bz2.compress(KERNEL),
            lzma.compress(KERNEL),
            lzma.compress(KERNEL, lzma.FORMAT_ALONE),
            b"\x02\x21\x4c\x18" + struct.pack("<I", len(block)) + block,
        ):
            self.assertEqual(extract(bzimage(payload + size)), KERNEL)

    def test_an_elf_kernel_stays_as_it_is(self) -> None:
        self.assertEqual(extract(KERNEL), KERNEL)

    def test_refusals(self) -> None:
        for image in (
            b"",
            b"MZ" * 1000,
            bzimage(b"\0\0\0\0\0\0\0\0"),
            bzimage(gzip.compress(b"x") + bytes(4)),
        ):
            with self.assertRaises(BzImageError):
                extract(image)


class Lz4Tests(SynchronousTestCase):
    @given(st.binary(max_size=600))
    def test_literals(self, data: bytes) -> None:
        self.assertEqual(lz4_block(lz4_literals(data)), data)

    @given(st.binary(min_size=1, max_size=10), st.integers(4, 700))
    def test_a_repeated_pattern(self, pattern: bytes, length: int) -> None:
        more = length - 4
        token = len(pattern) << 4 | min(more, 15)
        extra = b"" if more < 15 else b"\xff" * ((more - 15) // 255) + bytes([(more - 15) % 255])
        block = bytes([token]) + pattern + struct.pack("<H", len(pattern)) + extra + b"\0"
        whole = (pattern * (length // len(pattern) + 2))[: len(pattern) + length]
        self.assertEqual(lz4_block(block), whole)

    @given(st.binary(max_size=60))
    def test_any_bytes_are_unpacked_or_refused(self, block: bytes) -> None:
        try:
            lz4_block(block)
        except BzImageError:
            return

    def test_a_block_that_points_before_its_beginning(self) -> None:
        with self.assertRaises(BzImageError):
            lz4_block(b"\x10a\x05\x00\x00")
