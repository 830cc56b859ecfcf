"""What tells whether a file was changed."""

from __future__ import annotations

import os

Stamp = tuple[int, ...]


def file_stamp(path: str) -> Stamp:
    """
    What differs when a file was changed, or another one is there.

    @raise OSError: it is not there, or can't be looked at.
    """
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
