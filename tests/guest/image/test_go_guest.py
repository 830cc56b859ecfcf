"""Where the init of a program's machine comes from."""

from __future__ import annotations

import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from guest.image import go_guest
from guest.image.go_guest import GoGuestError, find_go_guest


class GoGuestTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def find(self, given: Path | None = None) -> bytes:
        return find_go_guest(given, self.folder, lambda line: None)

    def test_what_is_no_static_program(self) -> None:
        script = self.folder / "subproxy-guest"
        script.write_text("#!/usr/bin/python3\n")
        dynamic = Path(shutil.which("true") or "/bin/true")
        for given in (script, dynamic):
            with self.assertRaisesRegex(GoGuestError, "is no static program"):
                self.find(given)
        self.assertRaises(GoGuestError, self.find, self.folder / "none")

    def test_neither_program_nor_sources(self) -> None:
        self.patch(go_guest, "BUILT", self.folder / "none")
        self.patch(go_guest, "SOURCES", (self.folder,))
        with self.assertRaisesRegex(GoGuestError, "--subproxy-guest=FILE says where"):
            self.find()

    def test_sources_and_no_go(self) -> None:
        self.patch(go_guest, "BUILT", self.folder / "none")
        self.patch(go_guest.shutil, "which", lambda tool, path: None)
        with self.assertRaisesRegex(GoGuestError, "no go to build"):
            self.find()
