"""Opens a file that others may replace: never one for which the whole proxy would have to wait."""

from __future__ import annotations

import os
import stat
from errno import EINVAL
from typing import BinaryIO


def open_regular(path: str) -> BinaryIO:
    """
    Open a file to read it. Links are followed.

    @raise OSError: it can't be, or is none: of a pipe somebody else may never write the end.
    """
    return open(path, "rb", opener=_opened)


def _opened(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    mode = os.fstat(descriptor).st_mode
    # (What is made of the descriptor of a folder says so itself.)
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        os.close(descriptor)
        raise OSError(EINVAL, "not a file", path)
    return descriptor
