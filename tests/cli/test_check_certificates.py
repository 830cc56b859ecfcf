"""What C{subproxy check} says of certificates."""

from __future__ import annotations

import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from subproxy.cli.main import main
from tests.rigs.tls_rig import Authority


class CheckCertificatesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = self.mktemp()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def check(self, certificates: object) -> tuple[int, str]:
        """The status, and what was said on standard error."""
        Path(self.path).write_text(f"[tls]\nlisten = 443\ncertificates = '{certificates}'\n")
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            status = main(["check", self.path])
        self.assertEqual("good" in out.getvalue(), status == 0)
        return status, err.getvalue()

    def test_a_good_one(self) -> None:
        (self.folder / "a.pem").write_bytes(Authority().issue("a.example"))
        self.assertEqual(self.check(self.folder), (0, ""))
        self.assertEqual(self.check(self.folder / "a.pem"), (0, ""))

    def test_one_of_a_folder(self) -> None:
        """A proxy starts without it: it is told, and nothing is wrong with the file."""
        (self.folder / "a.pem").write_bytes(Authority().issue("a.example"))
        (self.folder / "b.pem").write_text("nothing of the kind")
        bad = f"{self.path}: note: {self.folder}/b.pem: there is no certificate in it\n"
        self.assertEqual(self.check(self.folder), (0, bad))
        (self.folder / "a.pem").unlink()
        none = f"{self.path}: note: no usable certificate in {self.folder}\n"
        self.assertEqual(self.check(self.folder), (0, bad + none))

    def test_one_that_is_named(self) -> None:
        """A proxy does not start without it."""
        file = self.folder / "a.pem"
        file.write_text("nothing of the kind")
        start = f"{self.path}: --certificates={file}: "
        self.assertEqual(self.check(file), (1, f"{start}there is no certificate in it\n"))
        file.unlink()
        self.assertEqual(self.check(file), (1, f"{start}there is no such file or folder\n"))

    def test_a_folder_that_cannot_be_looked_into(self) -> None:
        """A proxy would not start."""
        folder = self.folder / ("long" * 64)
        said = f"{self.path}: --certificates={folder}: File name too long\n"
        self.assertEqual(self.check(folder), (1, said))

    def test_without_the_package(self) -> None:
        with mock.patch.dict(sys.modules, {"cryptography": None}):
            said = self.check(self.folder)
        self.assertEqual(said, (1, f"{self.path}: --https wants the package cryptography\n"))
