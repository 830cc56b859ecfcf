"""What packs archives and layers, known by the first bytes; names and media types may be wrong."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
from collections.abc import Callable
from typing import BinaryIO

MAGICS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
)
LONGEST = max(len(magic) for magic, _ in MAGICS)
PIECE = 1 << 20


class CompressionError(ValueError):
    """What can't be unpacked."""


def packing(head: bytes) -> str | None:
    """The name of what packed data that begin so; None: nothing did."""
    return next((name for magic, name in MAGICS if head.startswith(magic)), None)


def unpack_into(source: BinaryIO, target: BinaryIO) -> None:
    """
    Write all that C{source}, which can seek, holds; as it is if nothing packed it.

    @param target: a file of the system, at its beginning and unbuffered so far.
    @raise CompressionError: it is broken, or cut short.
    """
    source.seek(0)
    name = packing(source.read(LONGEST))
    source.seek(0)
    try:
        if name == "zstd":
            _unpack_zstd(source, target)
        elif name is None:
            shutil.copyfileobj(source, target, PIECE)
        else:
            with _OPENERS[name](source) as unpacked:
                shutil.copyfileobj(unpacked, target, PIECE)
    except (EOFError, OSError, lzma.LZMAError) as error:
        raise CompressionError(f"broken {name or 'file'}: {error}") from error


_OPENERS: dict[str, Callable[[BinaryIO], BinaryIO]] = {
    "gzip": lambda source: gzip.GzipFile(fileobj=source),  # type: ignore[dict-item,return-value]
    "bzip2": bz2.BZ2File,  # type: ignore[dict-item]
    "xz": lzma.LZMAFile,  # type: ignore[dict-item]
}


def _unpack_zstd(source: BinaryIO, target: BinaryIO) -> None:
    """By the program: Python has it from 3.14 on only."""
    with subprocess.Popen(
        ["zstd", "-dcq"], stdin=subprocess.PIPE, stdout=target, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            shutil.copyfileobj(source, process.stdin, PIECE)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it says why
        said = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise CompressionError(f"broken zstd: {said}")
