"""The command line before the file before defaults."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.options import Options
from subproxy.config.settings import Settings
from subproxy.core.sites.site_access import SiteAccess


class SourcesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def parse(self, text: str, *words: str) -> Options:
        self.path.write_text(text)
        options = Options()
        options.parseOptions([f"--config={self.path}", *words])
        return options

    def complaint(self, text: str, *words: str) -> str:
        said = io.StringIO()
        with redirect_stderr(said):
            error = self.assertRaises(SystemExit, self.parse, text, *words)
        self.assertEqual(error.code, 1)
        return said.getvalue()

    def settings(self, text: str, *words: str) -> Settings:
        return self.parse(text, *words).settings

    def test_precedence(self) -> None:
        """A default for what neither says; what repeats comes from one of them alone."""
        text = "[http]\nlisten = [81, 82]\n[guests]\nhold = 7\nqueue = 8\n"
        found = self.settings(text)
        self.assertEqual((found.http, found.hold, found.queue), (("81", "82"), 7.0, 8))
        self.assertEqual(found.queue_timeout, 10.0)
        # What is the default is said all the same.
        found = self.settings(text, "--http=90", "--hold=3", "--queue=9")
        self.assertEqual((found.http, found.hold, found.queue), (("90",), 3.0, 9))

    def test_site_files(self) -> None:
        """Of them in force is what was good last: a worker that is made later goes by it."""
        users = Path(self.mktemp())
        word = "$2y$05$" + "a" * 53
        users.write_text(f"alice:{word}\nbob:{word}\n")
        options = self.parse(f'[[site]]\nhosts = "a.example"\nusers = "{users}"\n')
        effective = options.effective.with_policy(None, options.settings)
        users.write_text(f"alice:{word}\n")
        effective = effective.with_site_files()
        users.unlink()
        effective = effective.with_site_files()
        (site,) = effective.sites
        access = site.rules["access"]
        assert isinstance(access, SiteAccess)
        assert access.users is not None
        self.assertEqual([name for name, _ in access.users.hashes], [b"alice"])
        self.assertIsNone(effective.read_policy())

    def test_flag(self) -> None:
        for text, words, expected in (
            ("[workers]\nno-fastpath = true", (), True),
            ("[workers]\nno-fastpath = false", (), False),
            ("[workers]\nno-fastpath = false", ("--no-fastpath",), True),
            ("", (), False),
        ):
            self.assertIs(self.settings(text, *words).no_fastpath, expected)

    def test_an_empty_list(self) -> None:
        """It is as good as none: there are the listeners that there are without."""
        self.assertEqual(self.settings("[http]\nlisten = []").http, ("8080",))

    def test_complaints(self) -> None:
        """One line a problem, each with its place."""
        self.assertEqual(
            self.complaint("[guests]\nhold = -1\nqueue = 'x'\n"),
            f"subproxy: {self.path}:2:1: hold = -1: a number from 0 to 86400 is needed\n"
            f"subproxy: {self.path}:3:1: queue = 'x': a whole number is needed, without quotes\n",
        )

    def test_no_file(self) -> None:
        said = io.StringIO()
        with redirect_stderr(said):
            self.assertRaises(SystemExit, Options().parseOptions, ["--config=/nonexistent/x"])
        self.assertEqual(
            said.getvalue(), "subproxy: --config=/nonexistent/x: No such file or directory\n"
        )

    def test_what_does_not_go_together(self) -> None:
        """The place is told where the file is to blame."""
        text = "[http]\nproxy-protocol = 'unix'\n"
        self.assertIn(f"{self.path}:2:1: --proxy-protocol: no listener", self.complaint(text))
        self.parse(text, "--http=haproxy:tcp:1")
        said = self.complaint("", "--proxy-protocol=unix")
        self.assertTrue(said.startswith("subproxy: --proxy-protocol: no listener"), said)

    def test_two_policies(self) -> None:
        """One is enough, wherever the other comes from."""
        guest = "[[guest]]\nidentity = 'cid:1'\nhosts = 'a'\n"
        line = f"{self.path}:1:1: [[guest]] and [default] are a policy, and so is --policy=x: "
        self.assertIn(line, self.complaint(guest, "--policy=x"))
        self.assertIn(line, self.complaint("[default]\n[guests]\npolicy = 'x'\n"))
        self.assertEqual(self.settings("[guests]\npolicy = 'x'").policy, "x")
        self.assertEqual(self.settings("[guests]\npolicy = 'x'", "--policy=y").policy, "y")

    def test_whether_there_is_a_policy(self) -> None:
        """A bare port depends on it."""
        for text, words, expected in (
            ("", (), False),
            ("[default]", (), False),
            ("guest = []", (), True),
            ("[guests]\npolicy = 'x'", (), True),
            ("", ("--policy=x",), True),
        ):
            self.assertIs(self.parse(text, *words).effective.has_policy, expected)
