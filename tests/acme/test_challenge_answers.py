"""Answers to challenges, as files that every worker reads."""

from __future__ import annotations

import os
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.acme.challenge_answers import OLD, ChallengeFiles
from subproxy.acme.files import AcmeFiles
from subproxy.app.challenge_folder import ChallengeFolder


class ChallengeFilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        path = self.mktemp()
        files = AcmeFiles(path)
        files.prepare(None)
        self.folder = files.challenges
        self.answers = ChallengeFiles(self.folder)
        self.find = ChallengeFolder(self.folder).find

    def test_an_answer(self) -> None:
        """It is found while it is there; nobody else reads it."""
        self.answers[b"ab_c-1"] = b"ab_c-1.digest"
        self.assertEqual(self.find(b"ab_c-1"), b"ab_c-1.digest")
        self.assertEqual(os.stat(Path(self.folder) / "ab_c-1").st_mode & 0o777, 0o600)
        self.answers.pop(b"ab_c-1", None)
        self.assertIsNone(self.find(b"ab_c-1"))
        self.answers.pop(b"ab_c-1", None)

    def test_no_token(self) -> None:
        """What an authority makes up is no path."""
        for token in (b"", b"../a", b"a/b", b".", b"a.b", b"\xe9", b"a\0"):
            with self.assertRaises(OSError):
                self.answers[token] = b"x"
            self.answers.pop(token, None)
        self.assertEqual(os.listdir(self.folder), [])

    def test_what_is_left(self) -> None:
        """Of a worker that was killed while an authority asked, or while it wrote."""
        self.answers[b"a"] = b"x"
        (Path(self.folder) / ".half").touch()
        ChallengeFiles(self.folder, lambda: time.time() + OLD + 1)
        self.assertEqual(os.listdir(self.folder), [])

    def test_the_next_worker(self) -> None:
        """It begins before the one that it replaces has ended, of which an authority asks."""
        self.answers[b"a"] = b"x"
        ChallengeFiles(self.folder)
        self.assertEqual(self.find(b"a"), b"x")
