"""What the command line of C{subproxy-mkinitramfs} means; it is run whole in test_vm_image."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import shutil
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from guest.image import cli
from guest.image.application import ApplicationError
from guest.image.arguments import NAMES, ArgumentError
from guest.image.debian import PackageError
from guest.image.options import default_cache, make_parser, parse, read_file


class SettingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.app = Path(self.mktemp())
        self.app.mkdir()
        self.app /= "shop.py"
        self.app.write_text("def app(): ...\n")

    def settings(self, *words: str) -> dict[str, list[str]]:
        return cli.application_settings(parse([*words, "-o", "out.img"]))

    def test_without_an_application(self) -> None:
        self.assertEqual(self.settings(), {})
        self.assertEqual(self.settings("--minimal"), {"service": ["minimal"]})

    def test_the_minimal_service_takes_a_file(self) -> None:
        found = self.settings("--minimal", str(self.app), "--host=a", "--path=/b")
        self.assertEqual(
            found,
            {"app": ["/app/shop.py"], "service": ["minimal"], "host": ["a"], "path": ["/b"]},
        )
        for wrong in "shop:App", str(self.app.with_suffix(".txt")), str(self.app.parent / "no.py"):
            with self.assertRaisesRegex(ApplicationError, "an application is a .py file"):
                self.settings("--minimal", wrong)

    def test_further_settings(self) -> None:
        found = self.settings("--set=env=A=b", "--set=env=C=d", "--set=grace=5")
        self.assertEqual(found, {"env": ["A=b", "C=d"], "grace": ["5"]})
        for wrong in "env", "colour=red":
            with self.assertRaisesRegex(ArgumentError, f"--set {wrong}: not NAME=VALUE"):
                self.settings(f"--set={wrong}")

    def test_the_port_that_the_proxy_is_told(self) -> None:
        for proxy, option in (
            ([], ""),
            (["vsock:2:12345"], ""),
            (["vsock:2:7"], " --vsock-port=7"),
            (["unix:/x"], ""),
        ):
            self.assertEqual(cli.vsock_port({"proxy": proxy}), option)

    def test_files(self) -> None:
        self.assertEqual(read_file(f"/etc/x={self.app}"), ("etc/x", b"def app(): ...\n"))
        with mock.patch("sys.stderr"):
            for word in ("etc/x=/no/such/file", "etc/x", "=/etc/passwd", "/=/etc/passwd", "x="):
                self.assertRaises(SystemExit, self.settings, f"--file={word}")

    def test_where_packages_are_kept(self) -> None:
        with mock.patch.dict("os.environ", XDG_CACHE_HOME="/x"):
            self.assertEqual(default_cache(), Path("/x/subproxy/images"))
        with mock.patch.dict("os.environ", XDG_CACHE_HOME="", HOME="/home/me"):
            self.assertEqual(default_cache(), Path("/home/me/.cache/subproxy/images"))


class RefusalTests(SynchronousTestCase):
    """What is refused before anything is fetched."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.app = self.folder / "blog.py"
        self.app.write_text("class Blog(SubscriberProtocol): ...\n")
        self.fetched: list[object] = []
        self.patch(cli, "Packages", lambda *some: self.fetched.append(some) or stop())

    def run_main(self, *words: str) -> tuple[int, str]:
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            status = cli.main([*words])
        return status, said.getvalue()

    def test_table(self) -> None:
        output = f"-o{self.folder}/x.img"
        for words, reason in (
            ([f"{self.app}:Blgo", output], "has no Blgo; did you mean Blog?"),
            ([f"{self.folder}/none.py", output], "no file"),
            ([str(self.app), "--requirements=/none.txt", output], "/none.txt: no such file"),
            ([str(self.app), f"-o{self.folder}/none/x.img"], "there is no folder"),
            ([str(self.app), f"-o{self.folder}/x.vmlinuz"], "the kernel goes there"),
            (["--minimal", str(self.app), output], "blog.py has no app"),
            (
                [str(self.app), "--host=a", "--host=b", "--path=/", "--path=/", "--path=/", output],
                "2 hosts for 3 paths",
            ),
        ):
            status, said = self.run_main(*words)
            self.assertEqual((status, said.count("\n"), self.fetched), (1, 1, []), said)
            self.assertIn(reason, said)

    def test_without_zstd(self) -> None:
        self.patch(cli.shutil, "which", lambda tool: None)
        self.assertIn("no zstd", self.run_main(str(self.app), f"-o{self.folder}/x.img")[1])
        self.assertEqual(self.fetched, [])

    def test_a_good_one_goes_on(self) -> None:
        if shutil.which("zstd") is None:
            raise SkipTest("no zstd here")
        self.assertEqual(self.run_main(str(self.app), f"-o{self.folder}/x.img")[0], 1)
        self.assertEqual(len(self.fetched), 1)

    def test_a_full_disk(self) -> None:
        """Nothing is left of what could not be written; what was there before stays."""
        path = self.folder / "x.img"
        cli._write(path, b"before")

        def full(to: Path, data: bytes) -> int:
            to.touch()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with mock.patch.object(Path, "write_bytes", full):
            self.assertRaises(OSError, cli._write, path, b"after")
        self.assertEqual(sorted(os.listdir(self.folder)), ["blog.py", "x.img"])
        self.assertEqual(path.read_bytes(), b"before")


def stop() -> None:
    raise PackageError("far enough")


class HelpTests(SynchronousTestCase):
    def said(self, word: str) -> str:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            error = self.assertRaises(SystemExit, cli.main, [word])
        self.assertEqual(error.code, 0)
        return said.getvalue()

    def test_help(self) -> None:
        """Each kernel argument has a line, each option a text."""
        said = self.said("--help")
        for name, text in NAMES.items():
            self.assertRegex(said, rf"\n  subproxy\.{name}=\.\.\. +{re.escape(text)}\n")
        for action in make_parser()._actions:
            self.assertTrue(action.help, action)
        self.assertIn("examples:\n  subproxy-mkinitramfs blog.py -o blog.img", said)

    def test_version(self) -> None:
        self.assertRegex(self.said("--version"), r"^subproxy-mkinitramfs [0-9]+\.[0-9]+")


class CompressTests(SynchronousTestCase):
    def test_the_same_bytes_each_time(self) -> None:
        if shutil.which("zstd") is None:
            raise SkipTest("no zstd here")
        size, packed = cli.compress([b"x" * 9_999, b"x"], 1)
        self.assertEqual(size, 10_000)
        self.assertLess(len(packed), 100)
        self.assertEqual(cli.compress([b"x" * 10_000], 1), (size, packed))

    def test_not_packed(self) -> None:
        self.patch(cli.shutil, "which", lambda tool: None)
        self.assertEqual(cli.compress([b"x" * 9_999, b"y"], 0), (10_000, b"x" * 9_999 + b"y"))

    def test_without_zstd(self) -> None:
        self.patch(cli.shutil, "which", lambda tool: None)
        with self.assertRaisesRegex(PackageError, "no zstd here: install the package zstd"):
            cli.compress([], 1)
