"""Keeps the files that sites name in force as they change, until the next reload says others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from subproxy.config.site_files import SiteFileError, named_files, with_files
from subproxy.core.printable import printable
from subproxy.core.routing.router import Router
from subproxy.core.sites.site import Site
from subproxy.core.sites.site_table import SiteTable

if TYPE_CHECKING:
    from subproxy.files.files_watch import FilesWatch

Stamps = Mapping[str, "tuple[int, ...] | None"]
"""What differs when a file has changed, by path; None: it is not there."""


class SiteFilesService(Service):
    """
    Keys of links, users, authorities and what these have revoked.

    A file that has become unusable leaves its site as it was, and the log says so.

    @param router: what goes by the sites. What it has are those that were declared, in their order.
    @param declared: them, with their files not read.
    @ivar changed: is called when files that have changed are in force.
    """

    _log = Logger()

    def __init__(self, reactor: Any, router: Router, declared: tuple[Site, ...]) -> None:
        self._reactor = reactor
        self._router = router
        self._watch: FilesWatch | None = None
        self._stamps: Stamps = {}
        self._told: list[str] = []
        self._declared = declared
        self._files = named_files(declared)
        self.changed: Callable[[], object] = lambda: None

    def go_by(self, declared: tuple[Site, ...]) -> None:
        """The router has other sites now: these, with their files as they were just read."""
        self._declared = declared
        self._files = named_files(declared)
        self._stamps = {}
        self._told = []
        if self._watch is not None:
            self._watch.changed()
        elif self.running:
            self._begin()

    def startService(self) -> None:
        """Watch what there is to be watched."""
        super().startService()  # type: ignore[no-untyped-call]
        self._begin()

    def stopService(self) -> Deferred[None]:
        """Watch no longer; what is in force stays so."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        return succeed(None)

    def _begin(self) -> None:
        if self._files:
            from subproxy.files.files_watch import FilesWatch  # others have no use for it

            self._watch = FilesWatch(self._reactor, "the files that sites name", self._look)
            self._watch.start()

    def _look(self) -> Iterator[None]:
        """Read what has changed; may pause at each C{yield}."""
        from subproxy.files.file_stamp import file_stamp
        from subproxy.files.files_watch import folders_on_the_way

        declared, before = self._declared, self._stamps
        assert self._watch is not None
        folders: set[str] = set()
        for path in self._files:
            folders.update(folders_on_the_way(path))
            yield
        self._watch.watch_only(folders)
        stamps: dict[str, tuple[int, ...] | None] = {}
        for path in self._files:
            try:
                stamps[path] = file_stamp(path)
            except OSError:
                stamps[path] = None
            yield
        changed = frozenset(path for path in stamps if stamps[path] != before.get(path, ()))
        if not changed:
            return
        found: dict[int, Site] = {}
        problems: list[str] = []
        failed: set[str] = set()
        for index, site in enumerate(declared):
            if changed.isdisjoint(named_files([site])):
                continue
            for read in with_files([site]):
                if isinstance(read, SiteFileError):
                    problems.append(str(read))
                    # What stood in its way need not have been the file: the next look reads again.
                    failed.update(named_files([site]))
                else:
                    found[index] = read
            yield
        if declared is self._declared:
            self._stamps = {path: stamps[path] for path in stamps if path not in failed}
            self._put_in_force(found, problems)

    def _put_in_force(self, found: Mapping[int, Site], problems: list[str]) -> None:
        table = self._router.sites
        assert table is not None
        sites = [found.get(index, site) for index, site in enumerate(table.sites)]
        changed = [index for index, site in found.items() if site != table.sites[index]]
        if changed:
            self._router.set_sites(SiteTable(sites))
            self._log.info(
                "files of {count} sites have changed, and are in force", count=len(changed)
            )
            self.changed()
        for problem in dict.fromkeys(problems):
            if problem not in self._told:
                self._log.error(
                    "its sites stay as they were: {problem}", problem=printable(problem)
                )
        self._told = problems
