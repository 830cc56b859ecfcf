"""Which bytes of all that was ever written a rotated file and the one before it hold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SUFFIX: Final = ".begin"
"""It stands beside the file. Without it the file begins with the first byte."""

_LONGEST: Final = 64
_MOST: Final = 1 << 62
_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class RotationRecord:
    """
    See above. An inode would not tell one file from the next: it is used again at once.

    @ivar before: the first byte of the file before.
    @ivar begin: that of the file itself, which is the end of the one before.
    """

    before: int = 0
    begin: int = 0

    @classmethod
    def read(cls, path: Path) -> RotationRecord:
        """What is beside a file; what is not there, or no record, counts as none."""
        try:
            descriptor = os.open(f"{path}{SUFFIX}", os.O_RDONLY | _FLAGS)
        except OSError:
            return cls()
        try:
            before, begin = map(int, os.read(descriptor, _LONGEST).split())
        except (OSError, ValueError):
            return cls()
        finally:
            os.close(descriptor)
        return cls(before, begin) if 0 <= before <= begin < _MOST else cls()

    def write(self, path: Path) -> None:
        """
        Leave it beside a file.

        @raise OSError: it can't be written.
        """
        new = f"{path}{SUFFIX}.new"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FLAGS, 0o600)
        try:
            os.write(descriptor, f"{self.before} {self.begin}\n".encode())
        finally:
            os.close(descriptor)
        os.replace(new, f"{path}{SUFFIX}")
