"""What of a folder is a certificate, and what is watched."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.tls.certificate_files import (
    CertificateFiles,
    find_certificates,
    watched_folders,
)


class CertificateFilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def make(self, *names: str) -> None:
        for name in names:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)

    def found(self) -> list[tuple[str, str, bool]]:
        start = f"{self.folder}/"
        return [
            (each.path.removeprefix(start), each.key.removeprefix(start), each.is_default)
            for each in find_certificates([str(self.folder)])
        ]

    def test_layouts(self) -> None:
        self.make("one.pem", "two.crt", "two.key", "three.pem", "three.key", "default.pem")
        self.make("live/fullchain.pem", "live/privkey.pem", "secret/tls.crt", "secret/tls.key")
        self.make("README", ".hidden.pem", "other/x.pem", "lonely.key", "live/cert.pem")
        self.assertEqual(
            self.found(),
            [
                ("default.pem", "", True),
                ("live/fullchain.pem", "live/privkey.pem", False),
                ("one.pem", "", False),
                ("secret/tls.crt", "secret/tls.key", False),
                ("three.pem", "three.key", False),
                ("two.crt", "two.key", False),
            ],
        )

    def test_one_name_twice(self) -> None:
        """Both ends: one certificate."""
        self.make("a.pem", "a.crt", "a.key")
        self.assertEqual(self.found(), [("a.pem", "a.key", False)])

    def test_a_folder_that_is_the_default(self) -> None:
        self.make("default/tls.crt", "default/tls.key")
        self.assertEqual(self.found(), [("default/tls.crt", "default/tls.key", True)])

    def test_files_by_name(self) -> None:
        """The first is the default; the key is where one would look for it."""
        self.assertEqual(
            list(find_certificates(["/x/a.pem", "/x/fullchain.pem", "/x/tls.crt"])),
            [
                CertificateFiles("/x/a.pem", "/x/a.key", True),
                CertificateFiles("/x/fullchain.pem", "/x/privkey.pem"),
                CertificateFiles("/x/tls.crt", "/x/tls.key"),
            ],
        )

    def test_a_folder_that_cannot_be_read(self) -> None:
        self.assertEqual(self.found(), [])

    def test_stamp(self) -> None:
        """It differs when either file is another one."""
        self.make("a.crt", "a.key")
        (files,) = find_certificates([str(self.folder)])
        stamps = [files.stamp()]
        for name in ("a.crt", "a.key"):
            (self.folder / "new").write_text("new")
            os.replace(self.folder / "new", self.folder / name)
            stamps.append(files.stamp())
        (self.folder / "a.key").unlink()
        stamps.append(files.stamp())
        self.assertEqual(len(set(stamps)), 4)
        (self.folder / "a.crt").unlink()
        self.assertRaises(FileNotFoundError, files.stamp)

    def watched(self, *paths: str) -> set[str]:
        paths = paths or (str(self.folder),)
        found = list(find_certificates(paths))
        real = os.path.realpath(self.folder)
        return {each.removeprefix(real) for each in watched_folders(paths, found)}

    def test_watched(self) -> None:
        """As certbot has it: the folder, those in it, and those that their links lead to."""
        self.make("live/a/x", "archive/a/fullchain1.pem")
        for name in ("fullchain", "privkey"):
            (self.folder / "live" / "a" / f"{name}.pem").symlink_to(f"../../archive/a/{name}1.pem")
        self.assertLessEqual(
            {"/live", "/live/a", "/archive/a"}, self.watched(f"{self.folder}/live")
        )

    def test_watched_where_nothing_is(self) -> None:
        self.assertEqual(self.watched(f"{self.folder}/a/b.pem"), {""})

    def test_links_in_a_circle(self) -> None:
        (self.folder / "a.pem").symlink_to("b.pem")
        (self.folder / "b.pem").symlink_to("a.pem")
        self.assertEqual(self.watched(), {"", os.path.dirname(self.folder)})
