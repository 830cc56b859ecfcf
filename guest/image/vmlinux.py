"""The ELF kernel inside a bzImage: Firecracker boots nothing else, and others boot it faster.

A bzImage says where its compressed kernel lies (Documentation/arch/x86/boot.rst of
Linux: C{payload_offset}, protocol 2.08 of 2008 and later).
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import subprocess

from guest.image import elf

SETUP_SECTORS = 0x1F1
BOOT_MAGIC = 0x202
PAYLOAD = 0x248


class BzImageError(ValueError):
    """No bzImage, or one that is packed in a way unknown here."""


def extract(image: bytes) -> bytes:
    """The ELF kernel of C{image}, which may be one already.

    Raises C{BzImageError}.
    """
    if elf.is_elf(image):
        return image
    if image[BOOT_MAGIC : BOOT_MAGIC + 4] != b"HdrS":
        raise BzImageError("not a Linux bzImage")
    offset, length = struct.unpack_from("<II", image, PAYLOAD)
    start = ((image[SETUP_SECTORS] or 4) + 1) * 512 + offset
    kernel = _decompress(image[start : start + length])
    if not elf.is_elf(kernel):
        raise BzImageError("the bzImage holds no ELF kernel")
    return kernel


def _decompress(payload: bytes) -> bytes:
    """The payload unpacked; after it stand four bytes of its size, which are passed over."""
    if payload.startswith(b"\x1f\x8b"):
        return gzip.decompress(payload[:-4])
    if payload.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b"BZh"):
        return bz2.BZ2Decompressor().decompress(payload)
    if payload.startswith(b"]\0\0"):
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(payload)
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        tool = ["zstd", "--decompress", "--stdout", "--quiet"]
        return subprocess.run(tool, input=payload[:-4], capture_output=True, check=True).stdout
    if payload.startswith(b"\x02\x21\x4c\x18"):
        return _lz4_legacy(payload[4:-4])
    raise BzImageError(f"a kernel packed in an unknown way: {payload[:6].hex()}")


def _lz4_legacy(data: bytes) -> bytes:
    """The blocks of an LZ4 legacy frame, each with its length before it."""
    blocks = []
    at = 0
    while at + 4 <= len(data):
        (size,) = struct.unpack_from("<I", data, at)
        if at + 4 + size > len(data):
            break
        blocks.append(lz4_block(data[at + 4 : at + 4 + size]))
        at += 4 + size
    return b"".join(blocks)


def lz4_block(block: bytes) -> bytes:
    """One LZ4 block unpacked; C{BzImageError} if it is cut short or points before itself."""
    out = bytearray()
    at = 0
    try:
        while True:
            token = block[at]
            at += 1
            literals = token >> 4
            if literals == 15:
                more = 255
                while more == 255:
                    more = block[at]
                    at += 1
                    literals += more
            out += block[at : at + literals]
            at += literals
            if at >= len(block):
                if at > len(block):
                    raise BzImageError("an LZ4 block cut short")
                return bytes(out)
            distance = block[at] | block[at + 1] << 8
            at += 2
            length = (token & 15) + 4
            if length == 19:
                more = 255
                while more == 255:
                    more = block[at]
                    at += 1
                    length += more
            start = len(out) - distance
            if start < 0 or not distance:
                raise BzImageError("an LZ4 block that points before its beginning")
            if distance >= length:
                out += out[start : start + length]
            else:  # the match runs into what it writes: a repeated pattern
                pattern = bytes(out[start:])
                out += (pattern * (length // distance + 1))[:length]
    except IndexError as error:
        raise BzImageError("an LZ4 block cut short") from error
