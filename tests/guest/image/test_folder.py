"""A folder of this machine, as the root of another."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from guest.image.folder import read_folder
from guest.image.rootfs import RootfsError


class FolderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.mkdir()

    def test_what_it_holds(self) -> None:
        (self.path / "d").mkdir(mode=0o700)
        (self.path / "d" / "file").write_bytes(b"x")
        (self.path / "d" / "file").chmod(0o640)
        os.utime(self.path / "d" / "file", (5, 1234))
        os.link(self.path / "d" / "file", self.path / "again")
        (self.path / "link").symlink_to("../somewhere")
        os.mkfifo(self.path / "fifo")
        names = read_folder(self.path).top.names
        file = names["d"].names["file"]
        self.assertIs(names["again"], file)
        self.assertEqual((file.mode, file.data, file.date), (stat.S_IFREG | 0o640, b"x", 1234))
        self.assertEqual((names["link"].data, names["link"].is_link), (b"../somewhere", True))
        self.assertTrue(stat.S_ISFIFO(names["fifo"].mode))
        self.assertEqual(names["d"].mode, stat.S_IFDIR | 0o700)

    def test_who_builds_is_root(self) -> None:
        (self.path / "mine").write_bytes(b"")
        self.assertEqual(read_folder(self.path).top.names["mine"].owner, (0, 0))

    def test_links_are_not_followed(self) -> None:
        (self.path / "out").symlink_to("/etc")
        (self.path / "round").symlink_to(".")
        self.assertEqual(sorted(read_folder(self.path).top.names), ["out", "round"])

    def test_sockets_are_left_out(self) -> None:
        here = os.getcwd()
        with socket.socket(socket.AF_UNIX) as listener:
            os.chdir(self.path)
            try:
                listener.bind("s")
            finally:
                os.chdir(here)
            self.assertEqual(list(read_folder(self.path).top.names), [])

    def test_no_folder(self) -> None:
        self.assertRaises(RootfsError, read_folder, self.path / "none")
