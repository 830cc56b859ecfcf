"""Tells that something happened in a folder, by Linux's inotify.

To import it raises C{ImportError} where Twisted finds no C library to call: C{ctypes} asks
C{ldconfig} or a compiler for it, and a small system may have neither.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet import inotify
from twisted.internet.main import CONNECTION_DONE
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath

__all__ = ["FolderWatch", "WatchError"]

WatchError = inotify.INotifyError


class FolderWatch(inotify.INotify):
    """An inotify descriptor on one folder. One each: Twisted closes it when its folder goes."""

    _MASK = (
        inotify.IN_CREATE
        | inotify.IN_DELETE
        | inotify.IN_MOVED_FROM
        | inotify.IN_MOVED_TO
        | inotify.IN_MOVE_SELF
        | inotify.IN_ONLYDIR
    )

    def __init__(
        self, reactor: Any, path: str, found: os.stat_result, onChange: Callable[[], None]
    ) -> None:
        super().__init__(reactor)  # type: ignore[no-untyped-call]
        self._path = path
        self._found = found
        self._onChange = onChange
        self._closed = False
        try:
            self.watch(FilePath(path), mask=self._MASK)  # type: ignore[no-untyped-call]
        except BaseException:
            self.close()
            raise
        self.startReading()  # type: ignore[no-untyped-call]

    def is_on(self, path: str, found: os.stat_result) -> bool:
        """Whether it watches that folder, and not one that had its name before."""
        return not self._closed and path == self._path and os.path.samestat(found, self._found)

    def doRead(self) -> None:
        """Take the events off, whatever they say (an overflow belongs to no watch)."""
        super().doRead()  # type: ignore[no-untyped-call]
        self._onChange()

    def close(self) -> None:
        """Close at once."""
        if not self._closed:
            self._closed = True
            super().connectionLost(Failure(CONNECTION_DONE))  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:
        """The folder is gone, says Twisted."""
        if not self._closed:
            self.close()
            self._onChange()
