"""Answers to challenges of HTTP (http-01) while an authority asks: files that each worker reads."""

from __future__ import annotations

import contextlib
import os
from typing import Protocol

from subproxy.acme.files import write_whole


class ChallengeAnswers(Protocol):
    """Where they are kept, by token: a dictionary will do where one process has all clients."""

    def __setitem__(self, token: bytes, answer: bytes, /) -> None:
        """The authority may ask for C{token} from now on."""

    def pop(self, token: bytes, default: None, /) -> object:
        """It will not any more."""


class ChallengeFiles:
    """
    See above.

    @param folder: it is there, and for nobody but us. What is in it is old.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        for name in os.listdir(folder):
            self.pop(os.fsencode(name))

    def __setitem__(self, token: bytes, answer: bytes) -> None:
        """
        Let all workers answer C{token}.

        @raise OSError: it can't be written.
        """
        write_whole(self._path(token), answer)

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
