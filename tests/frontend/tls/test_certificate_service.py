"""Certificates read of files, and read again."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from subproxy.files import files_watch
from subproxy.files.files_watch import RESYNC, SETTLE
from subproxy.files.folders_watch import WatchFailed
from subproxy.frontend.tls.certificate import MAX_FILE
from subproxy.frontend.tls.certificate_reader import CertificateReader
from subproxy.frontend.tls.certificate_service import CertificateService
from tests.rigs.privilege import without_privilege
from tests.rigs.tls_rig import Authority


class CertificateServiceTests(SynchronousTestCase):
    authority = Authority()

    def setUp(self) -> None:
        self.events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.reactor: Any = MemoryReactorClock()  # type: ignore[no-untyped-call]
        self.service = CertificateService(
            self.reactor, CertificateReader([str(self.folder)], time.time)
        )
        self.addCleanup(lambda: self.service.running and self.service.stopService())

    def put(self, name: str, *names: str, **options: Any) -> None:
        (self.folder / "new").write_bytes(self.authority.issue(*names, **options))
        os.replace(self.folder / "new", self.folder / name)

    def start(self) -> None:
        self.service.privilegedStartService()
        self.service.startService()
        self.settle()

    def settle(self, seconds: float = 0.0) -> None:
        for each in self.reactor.getReaders():
            each.doRead()
        self.reactor.advance(seconds or SETTLE + 0.01)
        for _ in range(20):
            self.reactor.advance(0)

    def shown(self, name: bytes) -> list[str] | None:
        found = self.service.find(name)
        return None if found is None else found.names.texts()

    def said(self) -> str:
        return "\n".join(formatEvent(event) for event in self.events)

    def test_read_at_the_start(self) -> None:
        self.put("a.pem", "a.example")
        (self.folder / "bad.pem").write_text("nothing")
        self.start()
        self.assertEqual(self.shown(b"a.example"), ["a.example"])
        self.assertIn("bad.pem: there is no certificate in it", self.said())
        self.assertIn("1 certificates of", self.said())
        self.assertIn("no certificate is the default", self.said())

    def test_added_changed_broken_removed(self) -> None:
        self.start()
        self.assertIsNone(self.shown(b"a.example"))
        self.put("a.pem", "a.example")
        self.settle()
        self.assertEqual(self.shown(b"a.example"), ["a.example"])
        self.put("a.pem", "a.example", "b.example")
        self.settle()
        self.assertEqual(self.shown(b"b.example"), ["a.example", "b.example"])
        (self.folder / "a.pem").write_text("broken")
        self.settle()
        self.assertEqual(self.shown(b"b.example"), ["a.example", "b.example"])
        self.assertIn("kept (there is no certificate in it); for a.example, b.example", self.said())
        (self.folder / "a.pem").unlink()
        self.settle()
        self.assertEqual(self.shown(b"b.example"), ["a.example", "b.example"])
        self.assertTrue(self.service.reload())
        self.assertIsNone(self.shown(b"b.example"))
        self.assertFalse(self.service.reload())
        self.settle()
        self.assertIn("is gone, and its certificate too", self.said())

    def test_a_new_folder(self) -> None:
        self.start()
        (self.folder / "site").mkdir()
        self.settle()
        self.put("site/fullchain.pem", "a.example")
        self.settle()
        self.assertEqual(self.shown(b"a.example"), ["a.example"])

    def test_a_folder_that_cannot_be_looked_into(self) -> None:
        """It is said once; a reload drops nothing, and nothing is said again when it has come."""
        self.put("a.pem", "a.example")
        self.start()
        with without_privilege(self.folder):
            self.settle(61)
            self.settle(61)
            self.service.reload()
            self.settle()
            self.assertEqual(self.shown(b"a.example"), ["a.example"])
        self.settle(61)
        self.assertEqual(self.shown(b"a.example"), ["a.example"])
        self.assertEqual(self.said().count("can't be looked into: Permission denied"), 1)
        self.assertEqual(self.said().count(": kept ("), 1)

    def test_behind_links(self) -> None:
        """As certbot renews: another link."""
        self.put("1.pem.old", "a.example")
        self.put("2.pem.old", "a.example", "b.example")
        outside = Path(self.mktemp())
        outside.mkdir()
        os.replace(self.folder / "1.pem.old", outside / "one")
        os.replace(self.folder / "2.pem.old", outside / "two")
        link = outside / "link"
        link.symlink_to("one")
        (self.folder / "a.pem").symlink_to(link.absolute())
        self.start()
        self.assertEqual(self.shown(b"a.example"), ["a.example"])
        (outside / "next").symlink_to("two")
        os.replace(outside / "next", link)
        self.settle()
        self.assertEqual(self.shown(b"b.example"), ["a.example", "b.example"])

    def test_without_events(self) -> None:
        self.start()
        self.put("a.pem", "a.example")
        self.reactor.advance(RESYNC)
        self.settle()
        self.assertEqual(self.shown(b"a.example"), ["a.example"])

    def test_without_inotify(self) -> None:
        with mock.patch.object(files_watch, "FoldersWatch", side_effect=WatchFailed("none")):
            self.start()
        self.assertIn("looked at every 2.0 s: none", self.said())
        self.put("a.pem", "a.example")
        self.settle(2.0)
        self.assertEqual(self.shown(b"a.example"), ["a.example"])

    def test_a_file_by_name(self) -> None:
        path = self.folder / "a.pem"
        self.service = CertificateService(self.reactor, CertificateReader([str(path)], time.time))
        self.start()
        self.assertIn("a.pem: there is no such file", self.said())
        self.settle(RESYNC)
        self.settle(RESYNC)
        self.assertEqual(self.said().count("there is no such file"), 1)
        self.put("a.pem", "a.example")
        self.settle()
        self.assertEqual(self.shown(b"other.example"), ["a.example"])
        path.unlink()
        self.settle()
        self.assertEqual(self.shown(b"other.example"), ["a.example"])

    def test_too_long(self) -> None:
        (self.folder / "a.pem").write_bytes(bytes(MAX_FILE + 1))
        self.start()
        self.assertIn("is longer than 1048576 bytes", self.said())

    def test_not_readable(self) -> None:
        (self.folder / "a.pem").symlink_to("a.pem")
        self.start()
        self.assertIn("a.pem: Too many levels of symbolic links", self.said())

    def test_soon(self) -> None:
        """It is said again each day, and no more often."""
        self.put("a.pem", "a.example", begin=-80, end=5)
        now = time.time()
        clock = [now]
        self.service.now = lambda: clock[0]
        self.start()
        self.assertEqual(self.said().count("expires soon"), 1)
        for hours, count in ((1, 1), (23, 1), (25, 2), (48, 2)):
            clock[0] = now + hours * 3600
            self.settle(RESYNC)
            self.assertEqual(self.said().count("expires soon"), count, hours)
        clock[0] = now + 6 * 86400
        self.settle(RESYNC)
        self.assertIn("a.pem: expired; for a.example, -1.0 days left", self.said())
