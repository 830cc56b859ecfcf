"""Tests of C{subproxy password}."""

from __future__ import annotations

import json
import os
import stat
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from unittest import mock

import bcrypt
from twisted.trial.unittest import SynchronousTestCase

from subproxy.cli import password as password_command
from subproxy.cli.main import main
from subproxy.config.users_file import read_users_file

BOB = "bob:$2y$05$" + "a" * 53


class Terminal(TextIOWrapper):
    def isatty(self) -> bool:
        return True


class PasswordCommandTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.users = Path(self.mktemp())
        self.patch(password_command, "COST", 4)

    def run_it(self, *words: str, given: bytes | None = b"") -> tuple[int, str, str]:
        stdin = Terminal(BytesIO()) if given is None else TextIOWrapper(BytesIO(given))
        with (
            mock.patch("sys.stdin", stdin),
            redirect_stdout(StringIO()) as out,
            redirect_stderr(StringIO()) as err,
        ):
            status = main([*words[:-1], "password", *words[-1].split(), f"--users={self.users}"])
        return status, out.getvalue(), err.getvalue()

    def hashes(self) -> dict[bytes, bytes]:
        return dict(read_users_file(str(self.users)).hashes)

    def refused(self, words: str, given: bytes = b"word\n") -> str:
        before = self.users.read_bytes() if self.users.exists() else None
        status, out, err = self.run_it(words, given=given)
        self.assertEqual((status, out), (1, ""))
        self.assertEqual(self.users.read_bytes() if self.users.exists() else None, before)
        return err

    def test_first_and_another(self) -> None:
        """A new file is for its owner alone; who may read one that is there stays so."""
        self.assertEqual(self.run_it("alice", given=b"one\n"), (0, "alice has a password\n", ""))
        self.assertEqual(stat.S_IMODE(self.users.stat().st_mode), 0o600)
        self.assertTrue(bcrypt.checkpw(b"one", self.hashes()[b"alice"]))
        self.users.chmod(0o640)
        self.users.write_text(f"# us\n{BOB}\n{self.users.read_text()}\n# end")
        self.assertEqual(
            self.run_it("alice", given=b"two"), (0, "alice has another password\n", "")
        )
        self.assertEqual(stat.S_IMODE(self.users.stat().st_mode), 0o640)
        self.assertEqual(list(self.hashes()), [b"bob", b"alice"])
        self.assertTrue(bcrypt.checkpw(b"two", self.hashes()[b"alice"]))
        lines = self.users.read_text().splitlines()
        self.assertEqual([*lines[:2], *lines[3:]], ["# us", BOB, "", "# end"])
        status, out, _ = self.run_it("--json", "carol", given=b"three\r\n")
        self.assertEqual((status, json.loads(out)), (0, {"done": "carol has a password"}))
        self.assertTrue(bcrypt.checkpw(b"three", self.hashes()[b"carol"]))

    def test_removed(self) -> None:
        self.users.write_text(BOB)
        self.assertIn("nobody would be left in it", self.refused("bob --remove"))
        self.run_it("alice", given=b"word\n")
        self.assertEqual(self.run_it("bob --remove"), (0, "bob is let in no more\n", ""))
        self.assertEqual(list(self.hashes()), [b"alice"])
        self.assertIn("there is no such user", self.refused("bob --remove"))

    def test_behind_a_link(self) -> None:
        target = Path(self.mktemp())
        target.write_text(BOB)
        self.users.symlink_to(target.absolute())
        self.run_it("alice", given=b"word\n")
        self.assertTrue(self.users.is_symlink())
        self.assertEqual(list(self.hashes()), [b"bob", b"alice"])

    def test_asked_twice(self) -> None:
        for answers, status in ((["x", "x"], 0), (["x", "y"], 1), (EOFError, 1)):
            with mock.patch.object(password_command, "getpass", side_effect=answers):
                self.assertEqual(self.run_it("alice", given=None)[0], status)

    def test_no_good(self) -> None:
        for words, given, why in (
            ("a:b", b"x\n", "has no colon"),
            ("#a", b"x\n", "nor # before it"),
            ("a\x01b", b"x\n", "no control characters"),
            ("alice", b"\n", "a password has 1 to 72 bytes"),
            ("alice", b"", "a password has 1 to 72 bytes"),
            ("alice", b"x" * 73, "a password has 1 to 72 bytes"),
            ("alice", b"a\0b", "and no NUL"),
        ):
            self.assertIn(why, self.refused(words, given))
        self.users.write_text("nonsense")
        self.assertIn(":1: a name, a colon and a bcrypt hash", self.refused("alice"))
        self.users = self.users / "none"
        self.assertIn("its folder can't be read", self.refused("alice"))

    def test_full_disk(self) -> None:
        """What was there stays, and nothing is left beside it."""
        self.users.write_text(BOB)
        with mock.patch("os.fsync", side_effect=OSError(28, "No space left on device")):
            self.assertIn("can't be written: No space left on device", self.refused("alice"))
        self.assertEqual([each for each in os.listdir(".") if each.startswith(".new.")], [])
