"""What is kept between two starts."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from subproxy.acme.files import AcmeFiles

AUTHORITY = "https://ca.example/dir"


class FilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.files = AcmeFiles(str(self.path))
        self.files.prepare(None)

    def test_account(self) -> None:
        self.assertIsNone(self.files.account(AUTHORITY))
        self.files.keep_account(AUTHORITY, b"key")
        self.assertEqual(self.files.account(AUTHORITY), b"key")
        self.assertIsNone(self.files.account("https://other.example/dir"))

    def test_certificate(self) -> None:
        """In the place of the one before; the star of a wildcard is no name of a file."""
        for name, file in (("a.example", "a.example.pem"), ("*.a.example", "_.a.example.pem")):
            for text in (b"one", b"two"):
                self.files.keep_certificate(name, text)
            path = self.path / "certificates" / file
            self.assertEqual(path.read_bytes(), b"two")
            self.assertEqual(str(path.absolute()), self.files.certificate_path(name))

    def test_for_nobody_else(self) -> None:
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        files = AcmeFiles(str(self.path / "open"))
        files.prepare(None)
        files.keep_account(AUTHORITY, b"key")
        files.keep_certificate("a.example", b"pem")
        for each in (self.path / "open").rglob("*"):
            self.assertEqual(each.stat().st_mode & 0o077, 0)

    def test_no_half(self) -> None:
        """What could not be written leaves nothing, and what was there."""
        self.files.keep_certificate("a.example", b"one")
        with mock.patch("os.fsync", side_effect=OSError(28, "full")):
            self.assertRaises(OSError, self.files.keep_certificate, "a.example", b"two")
        [left] = (self.path / "certificates").iterdir()
        self.assertEqual(left.read_bytes(), b"one")
