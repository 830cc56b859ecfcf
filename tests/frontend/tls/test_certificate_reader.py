"""What is read of certificates' files, and what of that is kept."""

from __future__ import annotations

import resource
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.tls.certificate_reader import CertificateReader, NamedFileUnusable
from subproxy.frontend.tls.certificate_store import CertificateState
from tests.rigs.tls_rig import Authority


class CertificateReaderTests(SynchronousTestCase):
    authority = Authority()

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "a.pem"
        self.path.write_bytes(self.authority.issue("a.example"))
        self.reader = CertificateReader([str(self.folder)], time.time)

    def test_once(self) -> None:
        """What has not changed is not read again; how many good ones were read is told."""
        self.assertEqual(self.reader.read(), 1)
        self.assertEqual(self.reader.read(), 0)
        (self.folder / "b.pem").write_bytes(self.authority.issue("b.example"))
        self.assertEqual(self.reader.read(), 1)

    def test_the_last_good_one(self) -> None:
        self.reader.read()
        self.path.write_text("nothing")
        self.assertEqual(self.reader.read(), 0)
        (held,) = self.reader.store.held.values()
        self.assertIs(held.state(time.time()), CertificateState.KEPT)
        self.assertIsNotNone(self.reader.store.index.find(b"a.example", b""))
        self.reader.check([str(self.path)])
        self.path.unlink()
        self.assertEqual(self.reader.read(), 0)
        self.assertIs(held.state(time.time()), CertificateState.REMOVED)
        self.reader.check([str(self.path)])

    def test_not_readable_for_a_while(self) -> None:
        """No descriptor was left just then: the file is read by a later look, unchanged."""
        reader = CertificateReader([str(self.path)], time.time)
        least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, most))
        try:
            self.assertEqual(reader.read(), 0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (least, most))
        (held,) = reader.store.held.values()
        self.assertIn("Too many open files", held.problem)
        self.assertEqual(reader.read(), 1)

    def test_files_by_name(self) -> None:
        """One that never held any is an error, and so is one that is not there."""
        bad, absent = self.folder / "bad.pem", self.folder / "absent.pem"
        bad.write_text("nothing")
        for path, why in (
            (bad, "there is no certificate in it"),
            (absent, "there is no such file or folder"),
        ):
            reader = CertificateReader([str(path)], time.time)
            reader.read()
            error = self.assertRaises(NamedFileUnusable, reader.check, [str(path)])
            self.assertEqual((error.path, error.why), (str(path), why))

    def test_steps(self) -> None:
        """Which files there are is told before any of them is read."""
        told: list[int] = []
        steps = self.reader.steps(lambda found: told.append(len(found)))
        self.assertEqual(sum(1 for _ in steps), 2)
        self.assertEqual(told, [1])
