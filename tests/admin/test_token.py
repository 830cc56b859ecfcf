"""The file of the admin token."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from subproxy.admin import token as token_module
from subproxy.admin.token import (
    SYSTEM_FILE,
    TokenError,
    default_files,
    obtain_token,
    read_token,
)


class TokenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        self.path = self.folder / "admin.token"

    def test_made_once(self) -> None:
        """It is there after the first start, for its owner alone, and stays."""
        before = os.umask(0)
        try:
            token = obtain_token(str(self.path))
        finally:
            os.umask(before)
        self.assertGreaterEqual(len(token), 43)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual(obtain_token(str(self.path)), token)
        self.assertEqual(read_token(str(self.path)), token)
        self.assertEqual(list(self.folder.iterdir()), [self.path])
        self.assertNotEqual(obtain_token(str(self.folder / "other")), token)

    def test_its_folder(self) -> None:
        """That of the defaults is made, another is not."""
        obtain_token(str(self.folder / "run" / "subproxy" / "admin.token"))
        error = self.assertRaises(TokenError, obtain_token, str(self.folder / "no" / "token"))
        self.assertIn("can't be made: No such file", str(error))

    def test_owner(self) -> None:
        """Who the proxy becomes may read what was made."""
        if os.geteuid() != 0:
            self.skipTest("only root gives files away")
        obtain_token(str(self.path), 65534)
        self.assertEqual(self.path.stat().st_uid, 65534)
        self.assertEqual(obtain_token(str(self.path), 65534), read_token(str(self.path)))
        error = self.assertRaises(TokenError, obtain_token, str(self.path))
        self.assertIn("it belongs to user 65534", str(error))

    def test_somebody_was_quicker(self) -> None:
        """Two that start at once agree."""
        first = obtain_token(str(self.path))
        results = [FileNotFoundError(), first]
        with mock.patch.object(token_module, "read_token", side_effect=results):
            self.assertEqual(obtain_token(str(self.path)), first)
        self.assertEqual(list(self.folder.iterdir()), [self.path])

    def test_refused(self) -> None:
        """What everybody may read, what is too short, and what is no token."""
        for text, words in (
            (b"", "no token"),
            (b"short", "no token"),
            (b"a b c d e f g h i j k l", "no token"),
            (b"x" * 5000, "no token"),
            (b"\xff" * 20, "no token"),
        ):
            self.path.write_bytes(text)
            self.path.chmod(0o600)
            self.assertIn(words, str(self.assertRaises(TokenError, read_token, str(self.path))))
        self.path.write_bytes(b"0123456789abcdef\n")
        for mode in (0o604, 0o602, 0o777):
            self.path.chmod(mode)
            error = self.assertRaises(TokenError, obtain_token, str(self.path))
            self.assertIn("chmod 600", str(error))
        self.path.chmod(0o440)
        self.assertEqual(read_token(str(self.path)), b"0123456789abcdef")
        self.assertIn("directory", str(self.assertRaises(TokenError, read_token, str(self.folder))))

    def test_places(self) -> None:
        """The same for the proxy and the command of one user; each may find the other's."""
        self.assertEqual(default_files(0, {})[0], SYSTEM_FILE)
        mine = default_files(1000, {"XDG_RUNTIME_DIR": "/run/user/1000", "HOME": "/h"})
        self.assertEqual(mine, ["/run/user/1000/subproxy/admin.token", SYSTEM_FILE])
        self.assertEqual(
            default_files(1000, {"HOME": "/h"})[0], "/h/.local/state/subproxy/admin.token"
        )
