"""Tests of subproxy.config.link_key_file."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.link_key_file import (
    MAX_FILE,
    KeyFile,
    KeyFileError,
    KeyFileMissing,
    read_key_file,
    write_key_file,
)

NOW = datetime(2026, 11, 30, 15, 50, 34, tzinfo=timezone.utc)
DAY = timedelta(days=1)


class KeyFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = self.mktemp()

    def refused(self, data: bytes, mode: int = 0o600) -> str:
        Path(self.path).write_bytes(data)
        os.chmod(self.path, mode)
        return str(self.assertRaises(KeyFileError, read_key_file, self.path))

    def test_written_and_read(self) -> None:
        """As its owner alone may."""
        made = KeyFile().rotated(NOW).revoking("5f3a91c20b7d", NOW).rotated(NOW + DAY)
        write_key_file(self.path, made)
        self.assertEqual(read_key_file(self.path), made)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        self.assertEqual(made.link_keys.revoked, {"5f3a91c20b7d"})
        self.assertEqual(made.link_keys.keys, tuple(each.secret for each in made.keys))
        self.assertEqual(len(set(made.link_keys.keys)), 2)
        write_key_file(self.path, made.rotated(NOW + DAY))
        self.assertEqual(len(read_key_file(self.path).keys), 3)
        self.assertEqual(os.listdir(os.path.dirname(os.path.abspath(self.path))), ["temp"])

    def test_a_link_to_it_stays(self) -> None:
        """The proxy may know it by its other name."""
        path, other = os.path.abspath(self.mktemp()), os.path.abspath(self.mktemp())
        write_key_file(path, KeyFile().rotated(NOW))
        os.symlink(path, other)
        changed = read_key_file(other).rotated(NOW)
        write_key_file(other, changed)
        self.assertTrue(os.path.islink(other))
        self.assertEqual(read_key_file(path), changed)

    def test_a_rotation_forgets(self) -> None:
        """A key that has not signed for longer than a link may live."""
        made = KeyFile().rotated(NOW).rotated(NOW + DAY)
        self.assertEqual(len(made.rotated(NOW + 366 * DAY).keys), 3)
        self.assertEqual(len(made.rotated(NOW + 367 * DAY).keys), 2)
        self.assertEqual(len(made.rotated(NOW + 999 * DAY).keys), 2)

    def test_what_is_revoked_is_remembered_for_as_long(self) -> None:
        made = KeyFile().revoking("a" * 12, NOW).revoking("b" * 12, NOW + DAY)
        self.assertEqual(len(made.revoked), 2)
        self.assertEqual(made.revoking("a" * 12, NOW + DAY).revoked, made.revoked)
        later = made.revoking("c" * 12, NOW + 366 * DAY + timedelta(hours=1))
        self.assertEqual([name for name, _ in later.revoked], ["b" * 12, "c" * 12])

    def test_who_may_read_it(self) -> None:
        good = KeyFile().rotated(NOW).lines().encode()
        for mode in 0o640, 0o604, 0o620, 0o602, 0o601, 0o644:
            self.assertIn("; chmod 600 it", self.refused(good, mode))

    def test_no_good(self) -> None:
        """The line is told, and never what stands in it."""
        good = KeyFile().rotated(NOW).lines().encode()
        secret = good.split()[-1]
        for data, why in (
            (b"", ": there is no key in it"),
            (b"# key\n\n", ": there is no key in it"),
            (b"revoked 2026-11-30T15:50:34Z 5f3a91c20b7d\n", ": there is no key in it"),
            (secret, ":1: this is neither a key nor a revoked link"),
            (good + b"key 2026-11-30 " + secret, ":4: this is neither"),
            (good + b"key 2026-11-30T15:50:34Z short", ":4: this is neither"),
            (good + b"revoked 2026-11-30T15:50:34Z " + secret, ":4: this is neither"),
            (good + b"revoked 2026-13-30T15:50:34Z 5f3a91c20b7d", ":4: this is neither"),
            (good + b"\xff\n", ":4: this is neither"),
            (good + b"#" * MAX_FILE, f" is longer than {MAX_FILE} bytes"),
        ):
            said = self.refused(data)
            self.assertTrue(said.startswith(f"{self.path}{why}"), said)
            self.assertNotIn(secret.decode(), said)

    def test_not_there(self) -> None:
        error = self.assertRaises(KeyFileMissing, read_key_file, self.path)
        self.assertIn("subproxy link makes it", str(error))
        self.assertRaises(KeyFileError, read_key_file, os.path.dirname(os.path.abspath(self.path)))
        gone = os.path.join(self.path, "x", "k")
        self.assertRaises(KeyFileError, write_key_file, gone, KeyFile().rotated(NOW))

    def test_it_is_not_shown(self) -> None:
        made = KeyFile().rotated(NOW)
        self.assertNotIn(made.keys[0].secret, repr(made))
