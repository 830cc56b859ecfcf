"""
Has files looked at again, soon after something happened where they lie.

Inotify tells that something happened, never what: on any event all files are looked at. Because a
file system that is mounted over a folder causes no event, and a file on another machine neither,
they are looked at from time to time anyway.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from subproxy.core.rescan import Rescan

try:
    from subproxy.files.folders_watch import FoldersWatch, WatchFailed
except ImportError as _error:
    _WITHOUT = f"no inotify: {_error}"
else:
    _WITHOUT = ""

RESYNC: Final = 60.0
"""Seconds between two looks, if no event tells to look earlier."""

RESYNC_WITHOUT_INOTIFY: Final = 2.0

SETTLE: Final = 0.1
"""Seconds from an event to the look: files that belong together are seldom written at once."""

SLICE: Final = 0.005
"""Seconds of one turn of the reactor that a look may take."""

_LINKS: Final = 40
"""Links in a row, as the kernel follows."""


class FilesWatch:
    """
    Watches some files.

    @param what: they are, in the plural, for the log.
    @param look: looks at them, and may pause at each C{yield}.
    @param resync: seconds between two looks without an event.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        what: str,
        look: Callable[[], Iterator[None]],
        resync: float = RESYNC,
    ) -> None:
        self._reactor = reactor
        self._what = what
        self._steps = look
        self._resync = resync
        self._watch: FoldersWatch | None = None
        self._deaf = ""
        self._missed: list[str] = []
        self._next: IDelayedCall | None = None
        self._look: Iterator[None] = iter(())
        self._rescan = Rescan()

    def start(self) -> None:
        """Watch, and look at once: what has changed before was not heard of."""
        if _WITHOUT:
            self._deaf = _WITHOUT
        else:
            try:
                self._watch = FoldersWatch(self._reactor, self.changed)
            except WatchFailed as error:
                self._deaf = str(error)
        if self._deaf:
            self._log.warn(
                "{what} are looked at every {seconds} s: {why}",
                what=self._what,
                seconds=RESYNC_WITHOUT_INOTIFY,
                why=self._deaf,
            )
        self._look_now()

    def stop(self) -> None:
        """Watch no longer."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._rescan.scanning:
            self._look = iter(())
            self._rescan.close()
            self._rescan.done()
        self._rescan.close()
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def watch_only(self, folders: set[str]) -> None:
        """
        From now on events of these folders count, and of no others: see L{folders_on_the_way}.

        To be called by the look before it reads, so that nothing happens unheard in between.
        """
        if self._watch is None:
            return
        missed = self._watch.watch_only(folders)
        if missed and missed != self._missed:
            self._log.warn("not watched, but looked at now and then: {paths}", paths=missed)
        self._missed = missed

    def changed(self) -> None:
        """Something happened: look soon, once for all that happens until then."""
        if self._rescan.changed():
            assert self._next is not None
            if self._next.getTime() - self._reactor.seconds() > SETTLE:
                self._next.reset(SETTLE)

    def _look_now(self) -> None:
        self._rescan.begin()
        self._look = self._steps()
        self._step()

    def _step(self) -> None:
        """Go on with the look for a slice of a turn."""
        self._next = None
        until = self._reactor.seconds() + SLICE
        try:
            for _ in self._look:
                if self._reactor.seconds() >= until:
                    self._next = self._reactor.callLater(0, self._step)
                    return
        except Exception:
            self._log.failure("the {what} could not be looked at", what=self._what)
        soon = self._rescan.done()
        usual = RESYNC_WITHOUT_INOTIFY if self._deaf else self._resync
        self._next = self._reactor.callLater(SETTLE if soon else usual, self._look_now)


def folders_on_the_way(path: str) -> Iterator[str]:
    """
    The folder of C{path}, and that of each link which leads on from there.

    In the place of a folder that is not there stands the nearest one above it that is.
    """
    path = os.path.abspath(path)
    for _ in range(_LINKS):
        folder = os.path.dirname(path)
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        yield os.path.realpath(folder)
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:
            return
