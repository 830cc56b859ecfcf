"""
A kernel that halts: for VMMs whose KVM can't boot Linux here, which still start and freeze it.

An ELF file of x86-64, and of PVH by a note (xen/include/public/elfnote.h,
C{XEN_ELFNOTE_PHYS32_ENTRY}): C{hlt}, and C{jmp} back to it, which mean the same in 32 and 64 bits.
"""

from __future__ import annotations

import struct
from pathlib import Path

ADDRESS = 0x100_0000
CODE = b"\xfa\xf4\xeb\xfd"  # cli; hlt; jmp to hlt
ENTRY_NOTE = 18
NAME = b"Xen\0"


def write_kernel(path: Path) -> Path:
    """Write it, and return its path."""
    note = struct.pack("<III", len(NAME), 4, ENTRY_NOTE) + NAME + struct.pack("<I", ADDRESS)
    heads = 64 + 2 * 56
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, ADDRESS, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    code_at, note_at = 4096, heads
    load = (1, 5, code_at, ADDRESS, ADDRESS, len(CODE), len(CODE), 4096)
    told = (4, 4, note_at, 0, 0, len(note), len(note), 4)
    data = head + struct.pack("<IIQQQQQQ", *load) + struct.pack("<IIQQQQQQ", *told) + note
    path.write_bytes(data.ljust(code_at, b"\0") + CODE)
    return path
