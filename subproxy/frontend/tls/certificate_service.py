"""
Watches where certificates lie, has those read that have changed, and says what becomes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from subproxy.core.printable import printable
from subproxy.files.files_watch import RESYNC, FilesWatch
from subproxy.frontend.tls.certificate import Certificate
from subproxy.frontend.tls.certificate_files import CertificateFiles, watched_folders
from subproxy.frontend.tls.certificate_reader import CertificateReader
from subproxy.frontend.tls.certificate_store import CertificateState

REMIND: Final = 86400.0
"""Seconds after which it is said again that a certificate is about to expire."""


class CertificateService(Service):
    """
    The certificates of some folders and files, in force as they change.

    @param reader: what reads them; it may have done so before.
    @ivar store: what is in force, and what is known of each file.
    @ivar now: the time of day, in seconds since the epoch.
    @ivar renewed: called when something was read that is not what was there at the start.
    """

    _log = Logger()

    def __init__(self, reactor: Any, reader: CertificateReader, resync: float = RESYNC) -> None:
        self._reader = reader
        self.store = reader.store
        self.now = reader.now
        self.renewed: Callable[[], object] = lambda: None
        self._told: dict[str, tuple[CertificateState, str, float]] = {}
        self._unread: dict[str, str] = {}
        self._watch = FilesWatch(reactor, "certificates", self._reconcile, resync)
        self._begun = False

    def find(self, name: bytes | None, address: bytes = b"") -> Certificate | None:
        """See L{ICertificates<subproxy.frontend.tls.interfaces.ICertificates>}."""
        return self.store.index.find(name, address)

    def read_now(self) -> None:
        """Read all at once, before anybody is served; once."""
        if not self._begun:
            self._begun = True
            for _ in self._reconcile():
                pass
            count = sum(each.certificate is not None for each in self.store.held.values())
            self._log.info(
                "{count} certificates of {paths}; what changes there is read again",
                count=count,
                paths=", ".join(map(printable, self._reader.paths)),
            )
            if self.store.index.default is None:
                self._log.info(
                    "no certificate is the default: who asks for a host that none covers, or for "
                    "none, is refused"
                )

    def privilegedStartService(self) -> None:
        """Read keys, before the privilege to do so is shed."""
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self.read_now()

    def startService(self) -> None:
        """Read, and watch."""
        super().startService()  # type: ignore[no-untyped-call]
        self.read_now()
        self._watch.start()

    def stopService(self) -> Deferred[None]:
        """Stop watching; what is in force stays so."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._watch.stop()
        return succeed(None)

    def reload(self) -> bool:
        """Forget those whose files are gone, and look again at the others; whether any are gone."""
        gone = self.store.forget_removed(self.now())
        for path in gone:
            self._told.pop(path, None)
            self._log.info("{path} is gone, and its certificate too", path=printable(path))
        if self.running:
            self._watch.changed()
        return bool(gone)

    def _reconcile(self) -> Iterator[None]:
        """Bring what is in force in line with the files; may pause at each C{yield}."""
        count = yield from self._reader.steps(self._watch_all)
        self._tell()
        if count and self.running:
            self.renewed()

    def _watch_all(self, found: list[CertificateFiles]) -> None:
        self._watch.watch_only(watched_folders(self._reader.paths, found))

    def _tell(self) -> None:
        """Say what is new of each, and again each day what an operator must not forget."""
        now = self.now()
        unread = self._reader.unread
        for path in unread.keys() - self._unread.keys():
            self._log.error(
                "{path} can't be looked into: {why}; what was found there before stays in force",
                path=printable(path),
                why=unread[path],
            )
        self._unread = unread
        for path, held in self.store.held.items():
            state = held.state(now)
            certificate = held.certificate
            # The one that is in force is told apart by when it ends.
            what = held.problem or str(certificate and certificate.not_after)
            told = self._told.get(path)
            good = state is CertificateState.GOOD
            if told and told[:2] == (state, what) and (good or now < told[2] + REMIND):
                continue
            self._told[path] = (state, what, now)
            if told is None and good:
                continue  # there may be thousands, and `subproxy certificates` tells them
            if state is CertificateState.UNUSABLE:
                self._log.error("{path}: {why}", path=printable(path), why=printable(held.problem))
                continue
            assert certificate is not None
            says = self._log.info if good else self._log.warn
            says(
                "{path}: {state}{why}; for {names}, {days:.1f} days left",
                path=printable(path),
                state=state.value,
                why=f" ({printable(held.problem)})" if held.problem else "",
                names=printable(", ".join(certificate.names.texts()[:5])),
                days=certificate.days_left(now),
            )
        for path in self._told.keys() - self.store.held.keys():
            del self._told[path]
