"""Debian's packages, from an archive of our own: apt and dpkg are the real ones."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from guest.image import debian
from guest.image.debian import PackageError, Packages


class PackagesTests(SynchronousTestCase):
    def setUp(self) -> None:
        if any(shutil.which(tool) is None for tool in ("apt-get", "apt-cache", "dpkg-deb")):
            raise SkipTest("this is no Debian")
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.archive = self.folder / "archive"
        self.archive.mkdir()
        (self.folder / "status").touch()
        (self.folder / "lists" / "partial").mkdir(parents=True)
        (self.folder / "sources").write_text(f"deb [trusted=yes] file:{self.archive} ./\n")
        configuration = self.folder / "apt.conf"
        configuration.write_text(
            f'Dir::Etc::SourceList "{self.folder}/sources";\n'
            'Dir::Etc::SourceParts "/dev/null";\n'
            f'Dir::State::Lists "{self.folder}/lists";\n'
            f'Dir::State::Status "{self.folder}/status";\n'
        )
        environment = mock.patch.dict(os.environ, APT_CONFIG=str(configuration))
        environment.start()
        self.addCleanup(environment.stop)
        self.index: list[str] = []
        self.add("ours", "1:2.0-1", depends="base, other (>= 1), absent-one | other")
        self.add("base", "1.0")
        self.add("other", "3")

    def add(self, name: str, version: str, depends: str = "") -> None:
        """Build a package, and write the archive's list anew."""
        root = self.folder / f"{name}.build"
        (root / "DEBIAN").mkdir(parents=True)
        control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody\n"
        control += f"Depends: {depends}\n" if depends else ""
        control += "Description: a test\n"
        (root / "DEBIAN" / "control").write_text(control)
        (root / "usr" / "share").mkdir(parents=True)
        (root / "usr" / "share" / name).write_text(version)
        made = self.archive / f"{name}.deb"
        command = ["dpkg-deb", "--build", "--root-owner-group", str(root), str(made)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        data = made.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        self.index.append(f"{control}Filename: ./{name}.deb\nSize: {len(data)}\nSHA256: {digest}\n")
        (self.archive / "Packages").write_text("\n".join(self.index))

    def packages(self) -> Packages:
        return Packages(self.folder / "cache")

    def test_fetched_and_unpacked(self) -> None:
        """By an apt that had no lists before; and from the cache, when there is no archive."""
        for _ in range(2):
            ours, base = self.packages().fetch(["ours", "base"])
            self.assertEqual((ours.name, ours.version), ("ours", "1:2.0-1"))
            self.assertEqual((ours.root / "usr" / "share" / "ours").read_text(), "1:2.0-1")
            self.assertEqual((base.root / "usr" / "share" / "base").read_text(), "1.0")
            for archive in self.archive.glob("*.deb"):
                archive.unlink()

    def test_only_what_is_missing_is_downloaded(self) -> None:
        (base,) = self.packages().fetch(["base"])
        shutil.rmtree(base.root)
        (base,) = self.packages().fetch(["base"])
        self.assertTrue(base.root.is_dir())

    def test_dependencies(self) -> None:
        self.assertEqual(self.packages().depends(["ours"]), ["base", "other", "other"])

    def test_unknown(self) -> None:
        with self.assertRaisesRegex(PackageError, "apt knows no package nothing-like-it; see"):
            self.packages().candidates(["ours", "nothing-like-it"])

    def test_what_cannot_be_downloaded(self) -> None:
        (self.archive / "base.deb").unlink()
        with self.assertRaisesRegex(PackageError, "^apt-get download .*base=1.0: E: "):
            self.packages().fetch(["base"])

    def test_another_build_was_faster(self) -> None:
        (base,) = self.packages().fetch(["base"])
        (archive,) = (self.folder / "cache" / "archives").glob("base*.deb")
        self.packages()._unpack(archive, base.root)
        self.assertEqual(list(base.root.parent.iterdir()), [base.root])

    def test_elsewhere(self) -> None:
        self.patch(debian.shutil, "which", lambda tool: None)
        with self.assertRaisesRegex(PackageError, "no apt-get here: .* build the image on Debian"):
            self.packages()
