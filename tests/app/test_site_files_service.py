"""Files that sites name, in force as they change."""

from __future__ import annotations

import os
import resource
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app.site_files_service import SiteFilesService
from subproxy.config.configuration import parse_configuration
from subproxy.config.link_key_file import KeyFile, write_key_file
from subproxy.config.site_files import with_files
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.router import Router
from subproxy.core.sites.site import Site
from subproxy.core.sites.site_table import SiteTable
from subproxy.files.files_watch import RESYNC, SETTLE

NOW = datetime(2026, 11, 30, tzinfo=timezone.utc)
LINK = "5f3a91c20b7d"
USER = "alice:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC\n"


class SiteFilesServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.keys = self.folder / "links.keys"
        self.users = self.folder / "users"
        self.content = KeyFile().rotated(NOW)
        write_key_file(str(self.keys), self.content)
        self.users.write_text(USER)
        self.reactor: Any = MemoryReactorClock()  # type: ignore[no-untyped-call]
        self.router = Router(Registry())
        declared = self.declared(
            f'[[site]]\nhosts = "a.example"\nlinks = "{self.keys}"\n'
            '[[site]]\nhosts = "plain.example"\nmax-body = 1\n'
            f'[[site]]\nhosts = "b.example"\nusers = "{self.users}"\n'
        )
        self.service = SiteFilesService(self.reactor, self.router, declared)
        self.router.set_sites(SiteTable(self.read(declared)))
        self.addCleanup(lambda: self.service.running and self.service.stopService())

    @staticmethod
    def declared(text: str) -> tuple[Site, ...]:
        return parse_configuration(text).sites

    @staticmethod
    def read(declared: tuple[Site, ...]) -> list[Site]:
        found = []
        for each in with_files(declared):
            assert isinstance(each, Site), each
            found.append(each)
        return found

    def settle(self, seconds: float = SETTLE + 0.01) -> None:
        for each in self.reactor.getReaders():
            each.doRead()
        self.reactor.advance(seconds)
        for _ in range(20):
            self.reactor.advance(0)

    def access(self, index: int) -> Any:
        assert self.router.sites is not None
        return self.router.sites.sites[index].rules["access"]

    def said(self) -> list[str]:
        return [formatEvent(event) for event in self.events]

    def revoke(self) -> None:
        write_key_file(str(self.keys), self.content.revoking(LINK, NOW))

    def test_revoked_at_once(self) -> None:
        self.service.startService()
        self.settle()
        self.assertEqual(self.said(), [])
        before = self.router.sites
        changed: list[None] = []
        self.service.changed = lambda: changed.append(None)
        self.settle(RESYNC)
        self.assertEqual(changed, [])
        self.revoke()
        self.settle()
        self.assertEqual(changed, [None])
        self.assertEqual(self.access(0).links.revoked, frozenset([LINK]))
        self.assertEqual(self.said(), ["files of 1 sites have changed, and are in force"])
        assert before is not None
        assert self.router.sites is not None
        self.assertIs(self.router.sites.sites[1], before.sites[1])

    def test_revoked_before_the_start(self) -> None:
        """Between what was read and the start, which of a worker may be hours later."""
        self.revoke()
        self.service.startService()
        self.settle(0)
        self.assertEqual(self.access(0).links.revoked, frozenset([LINK]))

    def test_without_events(self) -> None:
        self.service.startService()
        self.settle()
        self.revoke()
        self.reactor.advance(RESYNC)
        self.settle()
        self.assertEqual(self.access(0).links.revoked, frozenset([LINK]))

    def test_unusable(self) -> None:
        """What is in force stays, said once; another file that is good is taken all the same."""
        self.service.startService()
        self.settle()
        before = self.access(0)
        self.keys.write_text("nothing")
        self.users.write_text(USER + USER.replace("alice", "bob"))
        self.settle()
        self.settle(RESYNC)
        self.assertIs(self.access(0), before)
        self.assertEqual([name for name, _ in self.access(2).users.hashes], [b"alice", b"bob"])
        self.assertEqual(
            self.said(),
            [
                "files of 1 sites have changed, and are in force",
                f"its sites stay as they were: links: {self.keys}:1: this is neither a key nor a "
                "revoked link",
            ],
        )
        self.keys.unlink()
        self.settle()
        self.assertIs(self.access(0), before)
        self.assertIn("there is none", self.said()[-1])
        self.revoke()
        self.settle()
        self.assertEqual(self.access(0).links.revoked, frozenset([LINK]))

    def test_not_readable_for_a_while(self) -> None:
        """No descriptor was left just then: the file is read by a later look, unchanged."""
        self.service.startService()
        self.settle()
        self.revoke()
        least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, most))
        try:
            self.settle()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (least, most))
        self.assertIn("Too many open files", self.said()[-1])
        self.assertEqual(self.access(0).links.revoked, frozenset())
        self.settle(RESYNC)
        self.assertEqual(self.access(0).links.revoked, frozenset([LINK]))

    def test_a_pipe(self) -> None:
        """Nobody writes into it: it is not waited for."""
        self.service.startService()
        self.settle()
        before = self.access(2)
        for path in (self.keys, self.users):
            path.unlink()
            os.mkfifo(path)
        self.settle()
        self.assertIs(self.access(2), before)
        self.assertEqual(
            sorted(self.said()),
            [
                f"its sites stay as they were: {key}: {path}: not a file"
                for key, path in (("links", self.keys), ("users", self.users))
            ],
        )

    def test_other_sites(self) -> None:
        """A reload: what was declared before counts no longer."""
        self.service.startService()
        self.settle()
        declared = self.declared(f'[[site]]\nhosts = "c.example"\nusers = "{self.users}"\n')
        self.router.set_sites(SiteTable(self.read(declared)))
        self.service.go_by(declared)
        self.revoke()
        self.users.write_text(USER.replace("alice", "bob"))
        self.settle()
        self.assertEqual([name for name, _ in self.access(0).users.hashes], [b"bob"])

    def test_first_files(self) -> None:
        """A reload names the first files; before there was nothing to be watched."""
        self.service = SiteFilesService(self.reactor, self.router, ())
        self.router.set_sites(SiteTable(()))
        self.service.startService()
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        declared = self.declared(f'[[site]]\nhosts = "c.example"\nusers = "{self.users}"\n')
        self.router.set_sites(SiteTable(self.read(declared)))
        self.service.go_by(declared)
        self.settle()
        self.users.write_text(USER.replace("alice", "bob"))
        self.settle()
        self.assertEqual([name for name, _ in self.access(0).users.hashes], [b"bob"])

    def test_stopped(self) -> None:
        self.service.startService()
        self.service.stopService()
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
