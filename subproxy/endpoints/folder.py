"""Listens for every VM socket of a folder, also those that appear or vanish later.

Inotify tells that something happened, never what: on any event the folder is
looked at again and the listeners are brought in line with it, so that nothing
depends on the order, the coalescing or the overflow of events. While the folder
does not exist, its nearest ancestor that does is watched instead. And because a
file system mounted over the folder causes no event at all, everything is looked
at again every C{RESYNC} seconds anyway, more often where inotify can't be had.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IProtocolFactory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.core.printable import printable
from subproxy.core.rescan import Rescan

from .addresses import HybridVsockAddress
from .errors import CannotListenAt
from .hybrid import HybridVsockPort, HybridVsockServerEndpoint
from .socketfile import SocketFile

if TYPE_CHECKING:
    from .folderwatch import FolderWatch

__all__ = ["FolderService", "vm_sockets"]

RESYNC = 10.0
RESYNC_WITHOUT_INOTIFY = 1.0
SETTLE = 0.02
"""Seconds from an event to the look at the folder; ten times what the last look took, if more."""
SLICE = 0.005
"""Seconds of one reactor turn that starting listeners may take."""

_LISTENER = re.compile(r"_[0-9]+$")
_MAGIC = re.compile(r"[*?[]")


def vm_sockets(folder: str, pattern: str) -> set[str]:
    """The paths of the VM sockets in C{folder} whose name matches C{pattern}.

    Sockets alone, and no symlinks. A name that ends in C{_} and digits is a
    listener of ours or of somebody like us; a hidden one matches only a pattern
    that begins with a dot. No folder, no sockets.
    """
    found = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if _LISTENER.search(name) or not fnmatchcase(name, pattern):
                    continue
                if name.startswith(".") and not pattern.startswith("."):
                    continue
                try:
                    if stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                        found.add(entry.path)
                except FileNotFoundError:
                    continue
    except (FileNotFoundError, NotADirectoryError):
        pass
    return found


class FolderService(Service):
    """A listener on vsock port C{port} for each VM socket that matches C{pattern}.

    C{pattern} is a path whose last part may hold C{*}, C{?} and C{[...]}, such
    as C{/run/vms/*.sock}; its folder need not exist yet. C{listenOptions} are
    those of C{HybridVsockServerEndpoint}. C{onListening} and C{onStopped} are
    called with the address of each listener that starts or stops.

    C{inherited} gives the socket that another process hands over for a path.
    Connections outlive the listener they came through. What can't be listened on
    is logged once and tried again at the next look.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        pattern: str,
        port: int,
        factory: IProtocolFactory,
        onListening: Callable[[HybridVsockAddress], object] | None = None,
        onStopped: Callable[[HybridVsockAddress], object] | None = None,
        **listenOptions: Any,
    ) -> None:
        self._folder, self._pattern = os.path.split(os.path.abspath(pattern))
        if pattern.endswith("/"):
            self._folder, self._pattern = os.path.abspath(pattern), "*"
        if _MAGIC.search(self._folder):
            raise ValueError(f"{pattern}: only the last part of a path may be a pattern")
        self._reactor = reactor
        self._vsockPort = port
        self._factory = factory
        self._onListening = onListening
        self._onStopped = onStopped
        self._options = listenOptions
        self.inherited: Callable[[str], SocketFile | None] = lambda path: None
        self._ports: dict[str, HybridVsockPort] = {}
        self._complaints: dict[str, str] = {}
        self._watch: FolderWatch | None = None
        self._withoutInotify = False
        self._next: IDelayedCall | None = None
        self._rescan = Rescan()
        self._afterLook: list[Deferred[None]] = []
        self._pause = SETTLE

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self._folder}/{self._pattern}: {len(self._ports)} listening>"
        )

    @property
    def addresses(self) -> list[HybridVsockAddress]:
        """Where it listens now, by path."""
        return [HybridVsockAddress(path, self._vsockPort) for path in sorted(self._ports)]

    @property
    def ports(self) -> list[HybridVsockPort]:
        """The ports that listen now."""
        return list(self._ports.values())

    def close_now(self) -> None:
        """Close all without the reactor, which never ran: they lose their names."""
        self._rescan.close()
        self._unwatch()
        for path in sorted(self._ports):
            self._ports.pop(path).connectionLost(Failure(ConnectionDone()))

    def privilegedStartService(self) -> None:
        """Listen for what is there already, before privileges are shed."""
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._begin()

    def startService(self) -> None:
        """Listen for what is there, and watch."""
        super().startService()  # type: ignore[no-untyped-call]
        self._begin()

    def stopService(self) -> Deferred[None]:
        """Stop watching and listening; fires when every listener is closed and unlinked."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._rescan.close()
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._unwatch()
        return Deferred.fromCoroutine(self._finish())

    async def _finish(self) -> None:
        if self._rescan.scanning:
            looked: Deferred[None] = Deferred()
            self._afterLook.append(looked)
            await looked
        for path in sorted(self._ports):
            await self._stop(path)

    def _begin(self) -> None:
        if not self._rescan.open:
            self._look_now()
            self._say_what_is_there()

    def _say_what_is_there(self) -> None:
        """The operator sees that the pattern is understood, and an empty folder no mistake."""
        if self._ports:
            there = f"{len(self._ports)} sockets of VMs there now"
        elif not os.path.isdir(self._folder):
            there = "that folder is not there yet"
        else:
            there = "no socket of a VM there yet"
        self._log.info(
            "guests on {folder}/{pattern}: {there}; the folder is watched",
            folder=self._folder,
            pattern=self._pattern,
            there=there,
        )

    def _changed(self) -> None:
        """Something happened in the folder: look soon, once for all that happens until then."""
        if self._rescan.changed():
            assert self._next is not None
            if self._next.getTime() - self._reactor.seconds() > self._pause:
                self._next.reset(self._pause)

    def _look_now(self) -> None:
        self._next = None
        self._rescan.begin()
        look = Deferred.fromCoroutine(self._reconcile())
        look.addErrback(self._failed)
        look.addCallback(self._looked)

    def _failed(self, why: Failure) -> None:
        if why.check(OSError):
            self._complain(self._folder, f"{self._folder} could not be looked at: {why.value}")
        else:
            self._log.failure("{folder} could not be looked at", failure=why, folder=self._folder)

    def _complain(self, path: str, why: str) -> None:
        if self._complaints.get(path) != why:
            self._complaints[path] = why
            self._log.error("{why}", why=printable(why))

    def _looked(self, _: object) -> None:
        soon = self._rescan.done()
        if self._rescan.open:
            usual = RESYNC_WITHOUT_INOTIFY if self._withoutInotify else RESYNC
            self._next = self._reactor.callLater(self._pause if soon else usual, self._look_now)
        waiting, self._afterLook = self._afterLook, []
        for looked in waiting:
            looked.callback(None)

    async def _reconcile(self) -> None:
        began = self._reactor.seconds()
        self._rewatch()
        wanted = vm_sockets(self._folder, self._pattern)
        stolen = [path for path, port in self._ports.items() if not port.is_ours()]
        self._pause = max(SETTLE, 10 * (self._reactor.seconds() - began))
        for path in stolen:
            if path in wanted:
                self._log.warn("{path}: its listener's socket was removed", path=printable(path))
                await self._stop(path)
        for path in sorted(self._ports.keys() - wanted):
            await self._stop(path)
        for path in self._complaints.keys() - wanted:
            del self._complaints[path]
        began = self._reactor.seconds()
        for path in sorted(wanted - self._ports.keys()):
            if not self._rescan.open:
                return
            await self._start(path)
            if self._reactor.seconds() - began > SLICE:
                await deferLater(self._reactor, 0)
                began = self._reactor.seconds()

    async def _start(self, path: str) -> None:
        endpoint = HybridVsockServerEndpoint(self._reactor, path, self._vsockPort, **self._options)
        endpoint.inherited = self.inherited
        try:
            port: Any = await endpoint.listen(self._factory)
        except CannotListenAt as e:
            self._complain(path, str(e))
            return
        self._complaints.pop(path, None)
        self._ports[path] = port
        if self._onListening is not None:
            self._onListening(endpoint.address)

    async def _stop(self, path: str) -> None:
        port = self._ports.pop(path)
        stopped: Any = port.stopListening()  # type: ignore[no-untyped-call]
        if stopped is not None:
            await stopped
        if self._onStopped is not None:
            self._onStopped(HybridVsockAddress(path, self._vsockPort))

    def _rewatch(self) -> None:
        """Watch the folder, or what is nearest to it, before it is looked at."""
        try:
            # Of those who have a folder: it asks ldconfig or a compiler for the C library.
            from .folderwatch import FolderWatch, WatchError
        except ImportError as e:
            self._look_by_the_clock(f"no inotify: {e}")
            return
        target, found = _nearest(self._folder)
        while self._watch is None or not self._watch.is_on(target, found):
            self._unwatch()
            try:
                self._watch = FolderWatch(self._reactor, target, found, self._changed)
            except (WatchError, OSError) as e:
                if os.path.lexists(target):
                    self._look_by_the_clock(str(e))
                return
            self._withoutInotify = False
            target, found = _nearest(self._folder)

    def _look_by_the_clock(self, why: str) -> None:
        if not self._withoutInotify:
            self._withoutInotify = True
            self._log.warn(
                "{folder} can't be watched ({why}): it is looked at every {seconds} s instead",
                folder=self._folder,
                why=why,
                seconds=RESYNC_WITHOUT_INOTIFY,
            )

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None


def _nearest(folder: str) -> tuple[str, os.stat_result]:
    """The folder, or its nearest ancestor that exists."""
    while True:
        try:
            found = os.stat(folder)
            if stat.S_ISDIR(found.st_mode) or folder == "/":
                return folder, found
        except OSError:
            if folder == "/":
                raise
        folder = os.path.dirname(folder)
