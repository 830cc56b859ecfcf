"""Challenges of certificate authorities, from files that another program has put into a folder."""

from __future__ import annotations

import os
import stat
from typing import Final

MAX_FILE: Final = 4096
"""Bytes of a key authorization: its token, a dot and a digest."""


class ChallengeFolder:
    """
    A folder, as C{certbot --webroot} fills it.

    @param path: where the files of tokens lie.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def find(self, token: bytes) -> bytes | None:
        """What the file of C{token}, a name without a slash, holds; None if there is none."""
        try:
            file = os.open(
                os.path.join(os.fsencode(self._path), token),
                os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW,
            )
        except OSError:
            return None
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                return None
            data = os.read(file, MAX_FILE + 1)
            return data if len(data) <= MAX_FILE else None
        except OSError:
            return None
        finally:
            os.close(file)
