"""What the command line of ``subproxy-mkinitramfs`` means; it is run whole in test_vm_image."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from guest.image import cli
from guest.image.application import ApplicationError
from guest.image.arguments import ArgumentError
from guest.image.debian import PackageError
from guest.image.layout import Plan


class SettingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.app = Path(self.mktemp())
        self.app.mkdir()
        self.app /= "shop.py"
        self.app.write_text("def app(): ...\n")

    def settings(self, *words: str) -> dict[str, list[str]]:
        return cli._settings(cli._parser().parse_args([*words, "-o", "out.img"]))

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
        kernel, python = mock.sentinel.kernel, mock.sentinel.python
        for proxy, option in (
            ([], ""),
            (["vsock:2:12345"], ""),
            (["vsock:2:7"], " --vsock-port=7"),
            (["unix:/x"], ""),
        ):
            plan = Plan(kernel=kernel, python=python, settings={"proxy": proxy})
            self.assertEqual(cli._port(plan), option)

    def test_files(self) -> None:
        self.assertEqual(cli._file(f"/etc/x={self.app}"), ("etc/x", b"def app(): ...\n"))
        with mock.patch("sys.stderr"):
            self.assertRaises(SystemExit, self.settings, "--file=etc/x=/no/such/file")

    def test_where_packages_are_kept(self) -> None:
        with mock.patch.dict("os.environ", XDG_CACHE_HOME="/x"):
            self.assertEqual(cli._default_cache(), Path("/x/subproxy/images"))
        with mock.patch.dict("os.environ", XDG_CACHE_HOME="", HOME="/home/me"):
            self.assertEqual(cli._default_cache(), Path("/home/me/.cache/subproxy/images"))


class CompressTests(SynchronousTestCase):
    def test_the_same_bytes_each_time(self) -> None:
        if shutil.which("zstd") is None:
            raise SkipTest("no zstd here")
        packed = cli.compress(b"x" * 10_000, 1)
        self.assertLess(len(packed), 100)
        self.assertEqual(cli.compress(b"x" * 10_000, 1), packed)

    def test_without_zstd(self) -> None:
        self.patch(cli.shutil, "which", lambda tool: None)
        with self.assertRaisesRegex(PackageError, "no zstd here: install the package zstd"):
            cli.compress(b"", 1)
