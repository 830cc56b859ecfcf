"""Answers to challenges of HTTP (http-01) while an authority asks: files that each worker reads."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Final, Protocol

from subproxy.files.replaced_file import replace_whole

OLD: Final = 3600.0
"""Seconds after which no authority asks for an answer any more."""


class ChallengeAnswers(Protocol):
    """Where they are kept, by token: a dictionary will do where one process has all clients."""

    def __setitem__(self, token: bytes, answer: bytes, /) -> None:
        """The authority may ask for C{token} from now on."""

    def pop(self, token: bytes, default: None, /) -> object:
        """It will not any more."""


class ChallengeFiles:
    """
    See above.

    @param folder: it is there, and for nobody but us. What is old in it is removed; the rest may be
        of a worker that this one is going to replace, whose authority asks just now.
    @param now: the time of day, in seconds since the epoch.
    """

    def __init__(self, folder: str, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        with os.scandir(folder) as entries:
            for each in entries:
                with contextlib.suppress(OSError):
                    if now() - each.stat(follow_symlinks=False).st_mtime > OLD:
                        os.unlink(each.path)

    def __setitem__(self, token: bytes, answer: bytes) -> None:
        """
        Let all workers answer C{token}.

        @raise OSError: it can't be written.
        """
        replace_whole(self._path(token), answer)

    def pop(self, token: bytes, default: None = None) -> None:
        """Nobody asks any more; there may be none."""
        with contextlib.suppress(OSError):
            os.unlink(self._path(token))

    def _path(self, token: bytes) -> str:
        """
        Its file.

        @raise OSError: the authority has made up a token that is none (RFC 8555 section 8.3).
        """
        name = token.decode("latin-1")
        if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            raise OSError("the token of a challenge is none")
        return os.path.join(self._folder, name)
