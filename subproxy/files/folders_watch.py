"""Tells that something happened in one of many folders, by one inotify descriptor for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import inotify
from twisted.internet.main import CONNECTION_DONE
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath

WatchFailed = inotify.INotifyError


class FoldersWatch(inotify.INotify):
    """
    Watches folders, whatever becomes of them; a user may have few such descriptors, and many
    watches.

    @param changed: called for each batch of events, with no word of what they were.
    @raise WatchFailed: the user has no inotify descriptor left.
    """

    _MASK = (
        inotify.IN_CREATE
        | inotify.IN_CLOSE_WRITE
        | inotify.IN_DELETE
        | inotify.IN_ATTRIB
        | inotify.IN_MOVED_FROM
        | inotify.IN_MOVED_TO
        | inotify.IN_MOVE_SELF
        | inotify.IN_ONLYDIR
    )

    def __init__(self, reactor: Any, changed: Callable[[], None]) -> None:
        super().__init__(reactor)  # type: ignore[no-untyped-call]
        self._changed = changed
        self._closed = False
        self.startReading()  # type: ignore[no-untyped-call]

    def watch_only(self, folders: set[str]) -> list[str]:
        """
        Watch these folders from now on, and no others.

        @return: those that could not be: they are gone, or the user has no watch left.
        """
        there = {each.path.decode("utf-8", "surrogateescape") for each in self._watchpaths}
        for path in there - folders:
            self.ignore(FilePath(path))  # type: ignore[no-untyped-call]
        missed = []
        for path in sorted(folders - there):
            try:
                self.watch(FilePath(path), mask=self._MASK)  # type: ignore[no-untyped-call]
            except WatchFailed:
                missed.append(path)
        return missed

    def doRead(self) -> None:
        """Take the events off, whatever they say (an overflow belongs to no watch)."""
        super().doRead()  # type: ignore[no-untyped-call]
        self._changed()

    def loseConnection(self, _connDone: Failure | None = None) -> None:
        """A folder is gone, and its watch with it, says Twisted. The others stay."""

    def close(self) -> None:
        """Close at once."""
        if not self._closed:
            self._closed = True
            super().connectionLost(Failure(CONNECTION_DONE))  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops."""
        self.close()
