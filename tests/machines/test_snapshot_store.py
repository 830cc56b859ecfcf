"""Where snapshots are, and whose."""

from __future__ import annotations

import builtins
import os
import pwd
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.declaration import Machine
from subproxy.machines.snapshot_binding import SnapshotRecord
from subproxy.machines.snapshot_store import MOST_FILES, SnapshotError, SnapshotStore

BLOG = Machine("blog", "qemu", ("blog.example",), memory=1 << 20, snapshot=True)


class SnapshotStoreTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.store = SnapshotStore(str(self.folder))

    def write(self, text: bytes = b"memory") -> None:
        """A VMM has written one."""
        place = self.store.make_room(BLOG)
        (place / "state").write_bytes(text)
        (place / "state").chmod(0o644)

    def keep(self, fingerprint: str = "1") -> Path:
        self.write()
        self.store.keep(BLOG, fingerprint)
        return self.store.usable(BLOG, fingerprint)

    def left(self) -> list[str]:
        return sorted(each.name for each in (self.folder / "blog").iterdir())

    def unusable(self, fingerprint: str = "1") -> str:
        return str(self.assertRaises(SnapshotError, self.store.usable, BLOG, fingerprint))

    def test_it_is_kept(self) -> None:
        """For its user alone."""
        self.assertEqual(self.unusable(), "there is none")
        place = self.keep()
        self.assertEqual((place / "state").read_bytes(), b"memory")
        self.assertEqual(self.left(), ["snapshot", "snapshot.json"])
        for path, mode in (
            (place, 0o700),
            (place / "state", 0o600),
            (self.folder / "blog" / "snapshot.json", 0o600),
        ):
            self.assertEqual(path.stat().st_mode & 0o777, mode)
        self.assertEqual(self.store.size("blog"), 6)
        self.assertEqual(self.unusable("2"), "what it was made of has changed")

    def test_another_one(self) -> None:
        """Takes its place; who goes on from the older has its files still."""
        place = self.keep()
        with (place / "state").open("rb") as file:
            self.write(b"other")
            self.store.keep(BLOG, "2")
            self.assertEqual(file.read(), b"memory")
        self.assertEqual((self.store.usable(BLOG, "2") / "state").read_bytes(), b"other")

    def test_its_size_is_remembered(self) -> None:
        """As long as its record is the same file, unchanged: metrics ask again and again."""
        self.keep()
        with patch.object(SnapshotRecord, "of_json", wraps=SnapshotRecord.of_json) as read:
            self.assertEqual([self.store.size("blog") for _ in range(3)], [6, 6, 6])
            self.assertEqual(read.call_count, 1)
            self.write(b"others")
            (self.store.unfinished("blog") / "more").write_bytes(b"!")
            self.store.keep(BLOG, "2")
            self.assertEqual([self.store.size("blog") for _ in range(2)], [7, 7])
            self.assertEqual(read.call_count, 2)
        (self.folder / "blog" / "snapshot.json").write_text("{")
        self.assertEqual(self.store.size("blog"), 0)

    def test_it_is_removed(self) -> None:
        self.keep()
        self.write()
        self.store.remove("blog")
        self.assertEqual(self.left(), [])
        self.store.remove("blog")
        self.assertEqual(self.store.size("blog"), 0)

    def test_what_was_never_finished(self) -> None:
        """Nothing is gone on from, and it makes way."""
        self.write()
        self.assertEqual(self.unusable(), "there is none")
        self.keep()
        self.assertEqual(self.left(), ["snapshot", "snapshot.json"])

    def test_it_is_damaged(self) -> None:
        place = self.keep()
        (place / "state").write_bytes(b"mem")
        self.assertIn("its files", self.unusable())
        (self.folder / "blog" / "snapshot.json").write_text("[]")
        self.assertIn("another format", self.unusable())
        place = self.keep()
        (place / "state").unlink()
        place.rmdir()
        self.assertIn("No such file", self.unusable())

    def test_what_is_no_file(self) -> None:
        """A VMM may be what its guest has made of it: nothing is followed."""
        secret = self.folder / "secret"
        for name in ("link", "second"):
            self.write()
            secret.write_text("ours")
            secret.chmod(0o644)
            if name == "link":
                (self.store.unfinished("blog") / name).symlink_to(secret)
            else:
                os.link(secret, self.store.unfinished("blog") / name)
            self.assertRaises(SnapshotError, self.store.keep, BLOG, "1")
            self.assertEqual(secret.stat().st_mode & 0o777, 0o644)
            self.assertEqual(self.left(), [])

    def test_it_is_ours(self) -> None:
        """Who runs the VMM of another instance can put no link or pipe there."""
        nobody = pwd.getpwuid(os.getuid() or 65534)
        machine = replace(BLOG, user=nobody.pw_name)
        place = self.store.make_room(machine)
        self.assertEqual(place.stat().st_uid, nobody.pw_uid)
        (place / "state").write_bytes(b"memory")
        os.chown(place / "state", nobody.pw_uid, -1)
        self.store.keep(machine, "1")
        place = self.store.usable(machine, "1")
        self.assertEqual(place.stat().st_uid, os.getuid())
        self.assertEqual(place.stat().st_mode & 0o777, 0o700 if os.getuid() else 0o711)
        self.assertEqual((place / "state").stat().st_uid, nobody.pw_uid)

    def test_many_files(self) -> None:
        """Nobody has the proxy look at files without end, or write a record that is too long."""
        place = self.store.make_room(BLOG)
        for each in range(MOST_FILES + 1):
            (place / str(each)).touch()
        error = self.assertRaises(SnapshotError, self.store.keep, BLOG, "1")
        self.assertIn("more than", str(error))
        self.assertEqual(self.left(), [])

    def test_folders_in_folders(self) -> None:
        """A VMM that makes those keeps the proxy from nothing but snapshots of its machine."""
        place = self.store.make_room(BLOG)
        here = os.open(place, os.O_RDONLY)
        for _ in range(1100):
            os.mkdir("a", dir_fd=here)
            below = os.open("a", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(here)
        self.addCleanup(subprocess.run, ["rm", "-rf", str(place)], check=True)
        self.assertRaises(SnapshotError, self.store.keep, BLOG, "1")
        self.store.remove("blog")

    def test_the_record_can_not_be_written(self) -> None:
        """Nothing is left that keeps the next one from being made."""
        opens = builtins.open

        def full(place: object, *how: object, **more: object) -> object:
            file = opens(place, *how, **more)  # type: ignore[call-overload]
            file.close()
            if "w" in how:
                raise OSError(28, "No space left on device")
            return file

        self.write()
        with patch("builtins.open", full):
            error = self.assertRaises(SnapshotError, self.store.keep, BLOG, "1")
        self.assertEqual(
            str(error), f"{self.folder / 'blog' / 'snapshot.json'}: No space left on device"
        )
        self.assertEqual(self.left(), [])
        (self.store.unfinished("blog")).touch()
        self.keep()

    def test_a_full_disk(self) -> None:
        """It is not begun."""
        self.patch(os, "statvfs", lambda _: SimpleNamespace(f_bavail=100, f_frsize=4096))
        error = self.assertRaises(SnapshotError, self.store.make_room, BLOG)
        self.assertIn("no room", str(error))
        self.assertEqual(self.left(), [])

    def test_of_machines_that_are_no_more(self) -> None:
        self.keep()
        self.write()
        self.store.sweep({"blog": None})
        self.assertEqual(self.left(), ["snapshot", "snapshot.json"])
        self.store.sweep(())
        self.assertEqual(self.left(), [])
