"""The policy's file: read at the start and on SIGHUP, in force whole or not at all."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from subproxy.core.access.policy import Policy, PolicyError, parse_policy


class PolicyFile:
    """
    Keeps the policy of a file.

    @ivar path: the file.
    @ivar changed: given each policy that was read anew.
    """

    _log = Logger()

    def __init__(self, path: str, changed: Callable[[Policy], None]) -> None:
        self.path = path
        self.changed = changed

    def read(self) -> Policy:
        """
        Read the policy file.

        @raise OSError: it cannot be read.
        @raise PolicyError: anything in it is wrong.
        """
        try:
            with open(self.path, encoding="utf-8") as file:
                return parse_policy(file.read())
        except UnicodeDecodeError as error:
            raise PolicyError([(1, f"not UTF-8: {error.reason}")]) from None

    def reload(self) -> None:
        """Read it again; if it cannot be used, the policy that is in force stays."""
        try:
            policy = self.read()
        except OSError as error:
            self._log.error(
                "the policy stays as it was: {path}: {error}", path=self.path, error=error.strerror
            )
        except PolicyError as error:
            for line, text in error.problems:
                self._log.error(
                    "the policy stays as it was: {path}:{line}: {text}",
                    path=self.path,
                    line=line,
                    text=text,
                )
        else:
            self._log.info("the policy of {path} is in force", path=self.path)
            self.changed(policy)
