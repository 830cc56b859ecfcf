"""Tests of subproxy.app.challenge_folder."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.app.challenge_folder import MAX_FILE, ChallengeFolder


class ChallengeFolderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.mkdir()
        self.folder = ChallengeFolder(str(self.path))

    def test_file(self) -> None:
        (self.path / "token").write_bytes(b"token.key")
        self.assertEqual(self.folder.find(b"token"), b"token.key")
        self.assertIsNone(self.folder.find(b"other"))

    def test_what_is_no_file(self) -> None:
        """Folders, pipes, links, what is too long, and what may not be read."""
        (self.path / "folder").mkdir()
        os.mkfifo(self.path / "pipe")
        (self.path / "link").symlink_to("/etc/hostname")
        (self.path / "long").write_bytes(b"x" * (MAX_FILE + 1))
        for name in (b"folder", b"pipe", b"link", b"long"):
            self.assertIsNone(self.folder.find(name), name)
        self.assertIsNone(ChallengeFolder("/nonexistent").find(b"token"))
