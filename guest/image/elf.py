"""What an image needs to know of an ELF file; pyelftools reads it.

It comes with the extra C{image}: nothing else than building images wants it.
"""

from __future__ import annotations

from importlib.util import find_spec
from io import BytesIO
from typing import Any

MAGIC = b"\x7fELF"


class ElfError(ValueError):
    """Not an ELF file of a kind that images hold."""


def unavailable() -> str | None:
    """Why ELF files can't be read here, for people; None if they can."""
    if find_spec("elftools") is None:
        return "pyelftools is missing: pip install 'subscription-proxy-vsock[image]'"
    return None


def is_elf(data: bytes) -> bool:
    """Tell whether C{data} begins as an ELF file does."""
    return data.startswith(MAGIC)


def needed(data: bytes) -> list[str]:
    """The names of the shared libraries that a program or library asks for, its loader among them.

    Raises C{ElfError} for what is no 64-bit little-endian ELF file.
    """
    names: list[str] = []
    try:
        for segment in _file(data).iter_segments():
            if segment["p_type"] == "PT_INTERP":
                names.append(segment.get_interp_name())
            elif segment["p_type"] == "PT_DYNAMIC":
                names += [tag.needed for tag in segment.iter_tags("DT_NEEDED")]
    except Exception as error:  # of pyelftools, or of what it is built on
        raise ElfError(f"a broken ELF file: {error}") from error
    return [name.rpartition("/")[2] for name in names]


def interpreter(data: bytes) -> str | None:
    """
    The path of the loader that a program asks for; None: it is static.

    Raises C{ElfError} for what is no program for x86-64.
    """
    try:
        file = _file(data)
        if file["e_machine"] != "EM_X86_64":
            raise ElfError(f"a program for another processor: {file['e_machine']}")
        for segment in file.iter_segments():
            if segment["p_type"] == "PT_INTERP":
                return str(segment.get_interp_name())
    except ElfError:
        raise
    except Exception as error:  # of pyelftools, or of what it is built on
        raise ElfError(f"a broken ELF file: {error}") from error
    return None


def modinfo(module: bytes) -> dict[str, str]:
    """The C{name=value} notes of a kernel module (its C{.modinfo}), the last of each name.

    C{depends} is in there, written by the kernel's own build: depmod isn't needed.
    Raises C{ElfError} if there are none.
    """
    try:
        section = _file(module).get_section_by_name(".modinfo")
        raw = None if section is None else section.data()
    except Exception as error:  # of pyelftools, or of what it is built on
        raise ElfError(f"a broken kernel module: {error}") from error
    if raw is None:
        raise ElfError("no section .modinfo")
    notes = (note.decode(errors="replace").partition("=") for note in raw.split(b"\0") if note)
    return {name: value for name, _, value in notes}


def _file(data: bytes) -> Any:
    from elftools.elf.elffile import ELFFile

    file = ELFFile(BytesIO(data))
    if file.elfclass != 64 or not file.little_endian:
        raise ElfError("not a 64-bit little-endian ELF file")
    return file
