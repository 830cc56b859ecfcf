"""Tests of subproxy.config.users_file."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.users_file import MAX_COST, MAX_FILE, UsersFileError, read_users_file
from subproxy.core.sites.site_access import SiteAccess
from tests.rigs.private_site import sites_of

HASH = "$2y$05$" + "a" * 53


class UsersFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = self.mktemp()

    def refused(self, text: str) -> str:
        Path(self.path).write_text(text)
        return str(self.assertRaises(UsersFileError, read_users_file, self.path))

    def test_good(self) -> None:
        Path(self.path).write_text(f"# us\n\nalice:{HASH}\r\n  b o b:{HASH.replace('y', 'b')}\n")
        users = read_users_file(self.path)
        self.assertEqual([name for name, _ in users.hashes], [b"alice", b"b o b"])
        self.assertEqual(users.hash_of(b"alice"), (HASH.encode(), True))
        self.assertNotIn(HASH, repr(users))
        [site] = sites_of(f'[[site]]\nhosts = "a"\nusers = "{self.path}"\n')
        self.assertEqual(site.rules["access"], SiteAccess(users=users, paths=(b"",)))

    def test_no_good(self) -> None:
        for text, why in (
            ("", ": there is no user in it"),
            ("alice", ":1: a name, a colon and a bcrypt hash (htpasswd -B)"),
            (f":{HASH}", ":1: a name, a colon"),
            ("alice:secret", ":1: a name, a colon"),
            ("alice:$apr1$x$y", ":1: a name, a colon"),
            (f"alice:{HASH}x", ":1: a name, a colon"),
            (f"a\tb:{HASH}", ":1: a name, a colon"),
            (f"alice:{HASH.replace('05', '15')}", f":1: a cost of 4 to {MAX_COST} is needed"),
            (f"alice:{HASH.replace('05', '03')}", f":1: a cost of 4 to {MAX_COST} is needed"),
            (f"a:{HASH}\na:{HASH}", ":2: this user is there already"),
            ("#" * (MAX_FILE + 1), f" is longer than {MAX_FILE} bytes"),
        ):
            said = self.refused(text)
            self.assertTrue(said.startswith(self.path + why), said)
            self.assertNotIn("secret", said)
        self.assertRaises(UsersFileError, read_users_file, self.path + "x")
