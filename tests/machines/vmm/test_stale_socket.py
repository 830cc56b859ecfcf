from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.vmm.driver import VmmError
from subproxy.machines.vmm.stale_socket import make_way


class MakeWayTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="sp", dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "vsock"

    def listener(self) -> socket.socket:
        """Somebody listens there."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.bind(str(self.path))
        listener.listen(0)
        return listener

    def refused(self, path: Path | None = None) -> str:
        """Why it isn't done."""
        return self.assertRaises(VmmError, make_way, path or self.path).reason

    def test_nothing_is_there(self) -> None:
        make_way(self.path)

    def test_what_was_left_is_removed(self) -> None:
        self.listener().close()
        self.assertTrue(self.path.exists())
        make_way(self.path)
        self.assertFalse(self.path.exists())

    def test_a_listener_stays(self) -> None:
        """Also one whose backlog is full."""
        self.listener()
        for _ in range(3):
            self.assertIn("in use", self.refused())
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.addCleanup(client.close)
            client.setblocking(False)
            client.connect_ex(str(self.path))
        self.assertTrue(self.path.exists())

    def test_what_is_no_socket_stays(self) -> None:
        self.path.write_text("dear")
        self.assertIn("is no socket", self.refused())
        link = self.path.with_name("link")
        os.symlink(self.path, link)
        self.assertIn("is no socket", self.refused(link))
        self.assertEqual(self.path.read_text(), "dear")

    def test_a_link_to_a_socket_stays(self) -> None:
        """Whoever is at its end is not asked."""
        link = self.path.with_name("link")
        os.symlink(self.path, link)
        listener = self.listener()
        listener.setblocking(False)
        self.assertIn("is no socket", self.refused(link))
        self.assertRaises(BlockingIOError, listener.accept)

    def test_a_path_that_is_too_long(self) -> None:
        self.assertIn("108 bytes", self.refused(Path("/" + 107 * "x")))

    def test_a_folder_that_is_none(self) -> None:
        self.path.write_text("")
        self.assertIn("Not a directory", self.refused(self.path / "x"))
