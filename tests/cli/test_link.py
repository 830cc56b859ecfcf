"""Tests of C{subproxy link}."""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import redirect_stderr, redirect_stdout
from fcntl import LOCK_EX, LOCK_NB, flock
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from subproxy.cli import link as link_command
from subproxy.cli.main import main
from subproxy.config.link_key_file import KeyFile, read_key_file, write_key_file
from subproxy.core.sites.link_token import tokens_of_target
from subproxy.core.sites.signed_links import Link


class LinkCommandTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.keys = os.path.abspath(self.mktemp())

    def run_it(self, *words: str) -> tuple[int, str, str]:
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            status = main([*words[:-1], "link", *words[-1].split(), f"--keys={self.keys}"])
        return status, out.getvalue(), err.getvalue()

    def link(self, words: str) -> tuple[str, Link]:
        """The address without its token, and what that opens."""
        status, out, err = self.run_it("--json", words)
        self.assertEqual((status, err), (0, ""))
        data = json.loads(out)
        target = data["url"].encode()
        [token] = tokens_of_target(target)
        found = read_key_file(self.keys).link_keys.read(token, time.time())
        assert found is not None
        said = (data["id"], data["host"], data["path"], data["expires"])
        self.assertEqual(tuple(found), said)
        begin, _, end = data["url"].partition("subproxy_link=")
        self.assertEqual(end, token.decode())
        return begin, found

    def refused(self, words: str) -> str:
        status, out, err = self.run_it(words)
        self.assertEqual((status, out), (1, ""))
        return err

    def test_made(self) -> None:
        for words, begin, host, path in (
            ("https://app.example/", "https://app.example/?", "app.example", "/"),
            ("https://app.example", "https://app.example/?", "app.example", "/"),
            ("http://APP.example.:80/a?b=c", "http://APP.example.:80/a?b=c&", "app.example", "/a"),
            ("https://a/d/e --path=/d", "https://a/d/e?", "a", "/d"),
            ("https://a/d/e --path=/", "https://a/d/e?", "a", "/"),
            ("https://a/d/e --path=/d/", "https://a/d/e?", "a", "/d/"),
            ("https://a//d/./%65#x", "https://a//d/./%65?", "a", "/d/e"),
            ("https://a/\u00e9", "https://a/%C3%A9?", "a", "/%C3%A9"),
            ("https://[::1]:8443/x", "https://[::1]:8443/x?", "[::1]", "/x"),
        ):
            told, link = self.link(words)
            self.assertEqual((told, link.host, link.path), (begin, host, path))

    def test_expires(self) -> None:
        for word, seconds in (("", 3600), ("90s", 90), ("30m", 1800), ("7d", 604800)):
            before = time.time()
            _, link = self.link(f"https://a/ --expires={word}" if word else "https://a/")
            self.assertTrue(before + seconds - 1 <= link.expires <= time.time() + seconds)
        for word in "0s", "1", "h", "-1h", "1w", "367d", "1.5h", "99999999999d", "1H":
            self.assertIn("--expires=", self.refused(f"https://a/ --expires={word}"))

    def test_one_after_the_other(self) -> None:
        """Of two that change the file at a time none loses what the other has written."""
        folder = os.open(os.path.dirname(self.keys), os.O_RDONLY)
        self.addCleanup(os.close, folder)
        held: list[bool] = []

        def write(path: str, content: KeyFile) -> None:
            try:
                flock(folder, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                held.append(True)
            write_key_file(path, content)

        self.patch(link_command, "write_key_file", write)
        self.link("https://a/")
        for words in "--rotate", "--revoke=5f3a91c20b7d":
            self.assertEqual(self.run_it(words)[0], 0)
        self.assertEqual(held, [True] * 3)
        flock(folder, LOCK_EX | LOCK_NB)

    def test_for_people(self) -> None:
        status, out, _ = self.run_it("https://a/docs")
        self.assertEqual(status, 0)
        url, told, made = out.splitlines()
        self.assertTrue(url.startswith("https://a/docs?subproxy_link="))
        self.assertRegex(told, r"^id [0-9a-f]{12}, opens a/docs and below until 20[0-9: -]+ UTC$")
        self.assertIn(f"{self.keys} was made", made)
        self.assertEqual(len(self.run_it("https://a/")[1].splitlines()), 2)

    def test_what_is_no_address(self) -> None:
        urls = "a.example", "/x", "ftp://a/", "https://u@a/", "https://a:99999/", "https:///x"
        for url in (*urls, "http://[::1"):
            self.assertIn("write it as https://HOST/PATH", self.refused(url))
        self.assertIn("without ';'", self.refused("https://a/x;y"))
        self.assertIn("at most 512", self.refused("https://a/" + "x" * 512))
        self.assertIn("is not below it", self.refused("https://a/doc --path=/docs"))
        self.assertIn("to where?", self.refused(""))
        for words in ("https://a/\udcff", "https://a/ --path=/\udcff"):
            self.assertIn("UTF-8", self.refused(words))
        self.assertFalse(os.path.exists(self.keys))

    def test_rotated_and_revoked(self) -> None:
        self.assertIn("subproxy link makes it", self.refused("--rotate"))
        self.assertIn("subproxy link makes it", self.refused("--revoke=5f3a91c20b7d"))
        _, link = self.link("https://a/")
        status, out, _ = self.run_it("--rotate")
        self.assertEqual(status, 0)
        self.assertIn("a new key signs, 1 older ones count", out)
        self.assertEqual(len(read_key_file(self.keys).keys), 2)
        status, out, _ = self.run_it(f"--revoke={link.name.upper()}")
        self.assertEqual((status, out), (0, f"{link.name} is revoked\n"))
        self.assertEqual(read_key_file(self.keys).link_keys.revoked, {link.name})
        self.assertIn("an id is twelve digits", self.refused("--revoke=x"))
        self.assertIn("not both", self.refused("https://a/ --rotate"))
        status, out, _ = self.run_it("--json", "--rotate")
        self.assertEqual(json.loads(out), {"keys": 3, "file": self.keys})

    def test_a_file_that_others_may_read(self) -> None:
        self.link("https://a/")
        os.chmod(self.keys, 0o640)
        said = self.refused("https://a/")
        self.assertTrue(re.fullmatch(r"subproxy: .*; chmod 600 it\n", said), said)
