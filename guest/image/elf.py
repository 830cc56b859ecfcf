"""What an ELF file needs: its shared libraries, or a kernel module's own notes.

Only as much of the format as images need: 64-bit, little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAGIC = b"\x7fELF"
PT_DYNAMIC = 2
PT_INTERP = 3
DT_NEEDED = 1
DT_STRTAB = 5
PT_LOAD = 1


class ElfError(ValueError):
    """Not an ELF file of a kind that images hold."""


@dataclass(frozen=True)
class Segment:
    """One program header: where it is in the file and in memory."""

    kind: int
    offset: int
    address: int
    size: int


def is_elf(data: bytes) -> bool:
    """Whether this begins as an ELF file does."""
    return data.startswith(MAGIC)


def needed(data: bytes) -> list[str]:
    """The names of the shared libraries that a program or library asks for, its loader among them.

    Raises ``ElfError`` for what is no 64-bit little-endian ELF file.
    """
    try:
        return _needed(data)
    except (struct.error, ValueError, IndexError) as error:
        raise ElfError(f"a broken ELF file: {error}") from error


def modinfo(module: bytes) -> dict[str, str]:
    """The ``name=value`` notes of a kernel module (its ``.modinfo``), the last of each name.

    ``depends`` is in there, written by the kernel's own build: depmod isn't needed.
    Raises ``ElfError`` if there are none.
    """
    try:
        raw = _section(module, ".modinfo")
    except (struct.error, ValueError, IndexError) as error:
        raise ElfError(f"a broken kernel module: {error}") from error
    notes = (note.decode(errors="replace").partition("=") for note in raw.split(b"\0") if note)
    return {name: value for name, _, value in notes}


def _needed(data: bytes) -> list[str]:
    _check(data)
    segments = _segments(data)
    names = [_text(data, segment.offset) for segment in segments if segment.kind == PT_INTERP]
    for dynamic in (segment for segment in segments if segment.kind == PT_DYNAMIC):
        entries = list(
            struct.iter_unpack(
                "<QQ", data[dynamic.offset : dynamic.offset + dynamic.size // 16 * 16]
            )
        )
        strings = next((value for tag, value in entries if tag == DT_STRTAB), None)
        if strings is None:
            continue
        base = _offset_of(strings, segments)
        names += [_text(data, base + value) for tag, value in entries if tag == DT_NEEDED]
    return [name.rpartition("/")[2] for name in names]


def _offset_of(address: int, segments: list[Segment]) -> int:
    """Where in the file the byte at ``address`` in memory is."""
    for segment in segments:
        inside = segment.address <= address < segment.address + segment.size
        if segment.kind == PT_LOAD and inside:
            return address - segment.address + segment.offset
    raise ElfError(f"no segment is loaded at {address:#x}")


def _section(data: bytes, wanted: str) -> bytes:
    """The bytes of one section; raises ``ElfError`` if there is none of that name."""
    _check(data)
    (table,) = struct.unpack_from("<Q", data, 40)
    entry_size, count, names_index = struct.unpack_from("<HHH", data, 58)
    sections = [
        struct.unpack_from("<IIQQQQ", data, table + index * entry_size) for index in range(count)
    ]
    names_at = sections[names_index][4]
    for name, _, _, _, offset, size in sections:
        if _text(data, names_at + name) == wanted:
            return data[offset : offset + size]
    raise ElfError(f"no section {wanted}")


def _check(data: bytes) -> None:
    if not is_elf(data) or len(data) < 64 or data[4] != 2 or data[5] != 1:
        raise ElfError("not a 64-bit little-endian ELF file")


def _segments(data: bytes) -> list[Segment]:
    table, entry_size, count = struct.unpack_from("<Q", data, 32) + struct.unpack_from(
        "<HH", data, 54
    )
    segments = []
    for at in range(table, table + entry_size * count, entry_size):
        kind, _, offset, address, _, size, _, _ = struct.unpack_from("<IIQQQQQQ", data, at)
        segments.append(Segment(kind, offset, address, size))
    return segments


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()
