"""Where a group of processes listens, by what the system tells of it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from guest.sidecar.listeners import listeners

HEAD = "  sl  local_address rem_address   st ...  inode"
LINE = (
    "   0: {} 00000000:0000 {} 00000000:00000000 00:00000000 00000000     0        0 {} 1 0 100 0"
)


class ListenersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.proc = Path(self.mktemp())
        (self.proc / "net").mkdir(parents=True)

    def process(self, pid: int, group: int, *inodes: int, name: str = "node") -> None:
        folder = self.proc / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "stat").write_text(f"{pid} ({name}) S 1 {group} {group} 0\n")
        os.symlink("/dev/null", folder / "fd" / "0")
        for number, inode in enumerate(inodes, 3):
            os.symlink(f"socket:[{inode}]", folder / "fd" / str(number))

    def table(self, name: str, *rows: tuple[str, str, int]) -> None:
        lines = [HEAD, *(LINE.format(*row) for row in rows)]
        (self.proc / "net" / name).write_text("\n".join(lines) + "\n")

    def test_all_of_a_group(self) -> None:
        """Of each of its processes, IPv4 and IPv6; not what only talks, nor what is others'."""
        self.process(10, 10, 1, 2)
        self.process(11, 10, 3, name="a) b (c")
        self.process(12, 12, 4)
        self.table(
            "tcp",
            ("0100007F:1435", "0A", 1),
            ("0100007F:9999", "01", 2),
            ("00000000:0050", "0A", 4),
        )
        self.table("tcp6", ("00000000000000000000000001000000:0BB8", "0A", 3))
        self.assertEqual(listeners(10, self.proc), ["127.0.0.1:5173", "[::1]:3000"])
        self.assertEqual(listeners(12, self.proc), ["0.0.0.0:80"])
        self.assertEqual(listeners(13, self.proc), [])

    def test_what_is_not_there(self) -> None:
        """No table, no process any more, a descriptor that has just been closed."""
        self.process(10, 10, 1)
        (self.proc / "11").mkdir()
        os.rmdir(self.proc / "net")
        self.assertEqual(listeners(10, self.proc), [])
        (self.proc / "net").mkdir()
        self.table("tcp", ("0100007F:1435", "0A", 1))
        (self.proc / "10" / "fd" / "9").write_text("no link")
        self.assertEqual(listeners(10, self.proc), ["127.0.0.1:5173"])
        self.process(12, 10)
        os.unlink(self.proc / "12" / "fd" / "0")
        os.rmdir(self.proc / "12" / "fd")
        self.assertEqual(listeners(10, self.proc), ["127.0.0.1:5173"])

    def test_of_this_process(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            self.assertIn(f"127.0.0.1:{port}", listeners(os.getpgid(0)))
