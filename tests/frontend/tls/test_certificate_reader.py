"""What is read of certificates' files, and what of that is kept."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.tls.certificate_reader import CertificateReader, NamedFileUnusable
from subproxy.frontend.tls.certificate_store import CertificateState
from tests.rigs.privilege import without_privilege
from tests.rigs.tls_rig import Authority


@contextmanager
def few_descriptors() -> Iterator[None]:
    """No file can be opened."""
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (least, most))


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
        with few_descriptors():
            self.assertEqual(reader.read(), 0)
        (held,) = reader.store.held.values()
        self.assertIn("Too many open files", held.problem)
        self.assertEqual(reader.read(), 1)

    def test_a_folder_that_cannot_be_looked_into(self) -> None:
        """Who may not look into it any more does not know that they are gone; nor does a reload."""
        live = self.folder / "live"
        (live / "a").mkdir(parents=True)
        for name in ("fullchain.pem", "privkey.pem"):
            os.link(self.path, live / "a" / name)
        for shut in (live, live / "a", self.folder):
            with self.subTest(shut=shut.name):
                reader = CertificateReader([str(live)], time.time)
                self.assertEqual(reader.read(), 1)
                with without_privilege(shut):
                    self.assertEqual(reader.read(), 0)
                    (held,) = reader.store.held.values()
                    self.assertIs(held.state(time.time()), CertificateState.KEPT)
                    self.assertIn("Permission denied", held.problem)
                    self.assertEqual(reader.store.forget_removed(time.time()), [])
                    self.assertIsNotNone(reader.store.index.find(b"a.example"))
                    reader.check([str(live)])
                    new = CertificateReader([str(live)], time.time)
                    self.assertEqual(new.read(), 0)
                    if shut is not live / "a":
                        error = self.assertRaises(NamedFileUnusable, new.check, [str(live)])
                        self.assertEqual(error.why, "Permission denied")
                self.assertEqual(reader.read(), 1)
                self.assertIs(held.state(time.time()), CertificateState.GOOD)

    def test_no_descriptor_for_a_folder(self) -> None:
        self.reader.read()
        with few_descriptors():
            self.reader.read()
            self.assertEqual(self.reader.store.forget_removed(time.time()), [])
        (held,) = self.reader.store.held.values()
        self.assertIn("Too many open files", held.problem)
        self.assertEqual(self.reader.read(), 1)

    def test_named_twice(self) -> None:
        """One of a folder may be named by itself, to be the default: also at the second look."""
        paths = [str(self.folder), str(self.path)]
        for each in (paths, paths[::-1], [*paths, *paths]):
            reader = CertificateReader(each, time.time)
            for _ in range(3):
                reader.read()
                (held,) = reader.store.held.values()
                self.assertIs(held.state(time.time()), CertificateState.GOOD)
                self.assertIs(reader.store.index.default, held.certificate)

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
