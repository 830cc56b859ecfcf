"""What an instance has printed, read piece by piece: also by who reads on after a rotation."""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path
from typing import Any, Final

from subproxy.machines.places import folder_of
from subproxy.machines.rotation_record import RotationRecord

CONSOLE: Final = "console.log"

CONSOLE_PIECE: Final = 65_536
"""Bytes of a console that are told at once."""


def read_console(
    folder: str, name: str, index: int, begin: int, *, whole: bool = False
) -> dict[str, Any]:
    """
    What an instance has printed from a byte on, as plain data.

    Bytes count from the first that this instance ever printed; a negative C{begin} from the end,
    and one beyond the end from the first that is kept. C{next} is where to go on, C{more}: at once;
    C{lost}: something between was printed too fast, and is gone.

    @param whole: leave nothing out; else only the end of what is long is told.
    @raise OSError: there is nothing.
    """
    path = Path(folder_of(folder, name, index), CONSOLE)
    descriptor = _opened(path)
    try:
        record = RotationRecord.read(path)
        end = record.begin + os.fstat(descriptor).st_size
        oldest = record.begin
        if begin < 0:
            begin = max(oldest, end + begin)
        elif begin > end:
            begin = oldest
        if not whole:
            begin = max(begin, oldest, end - CONSOLE_PIECE)
        asked = begin
        data = b""
        if begin < record.begin:
            begin = max(begin, record.before)
            data = _before(path, begin - record.before)
            if not data:
                begin = record.begin
        if begin >= record.begin:
            data = os.pread(descriptor, CONSOLE_PIECE, begin - record.begin)
    finally:
        os.close(descriptor)
    more = begin + len(data) < end
    text, told = _decoded(data, whole=not more)
    return {
        "index": index,
        "text": text,
        "next": begin + told,
        "more": more,
        "lost": begin > asked,
    }


def _decoded(data: bytes, *, whole: bool) -> tuple[str, int]:
    """What C{data} says, but for a character that its end cuts; and how many bytes that are."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final=whole)
    cut, _ = decoder.getstate()
    if len(cut) == len(data):
        return data.decode("utf-8", "replace"), len(data)
    return text, len(data) - len(cut)


def _before(path: Path, begin: int) -> bytes:
    """A piece of the file that was rotated away; nothing if that is gone."""
    try:
        descriptor = _opened(Path(f"{path}.1"))
    except OSError:
        return b""
    try:
        return os.pread(descriptor, CONSOLE_PIECE, begin)
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    # The folder may be another user's: no link is followed, and no pipe waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(2, "no file", str(path))
    return descriptor
