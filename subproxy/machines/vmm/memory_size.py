"""Sizes of memory, as VMMs want them."""

from __future__ import annotations

from typing import Final

MEBIBYTE: Final = 1 << 20


def mebibytes(memory: int) -> int:
    """A size of so many bytes in MiB, rounded up."""
    return -(-memory // MEBIBYTE)
