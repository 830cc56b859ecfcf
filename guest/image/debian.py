"""Debian's packages as a source of files: fetched by apt, unpacked by dpkg, without root.

apt itself knows the mirrors and checks the signatures. What it has no lists for (a
fresh container image has none) it updates into a folder of the cache, so that neither
root nor the system's own state is needed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

_DEPENDS = re.compile(r"^ *(?:Pre)?Depends: (?P<name>[^<\s]+)$", re.MULTILINE)
_POLICY = re.compile(r"^(\S+):\n  Installed: .*\n  Candidate: (\S+)$", re.MULTILINE)
_URI = re.compile(r"^'[^']+' (\S+) \d+", re.MULTILINE)


class PackageError(Exception):
    """A package that can't be had; the text says what to do about it."""


@dataclass(frozen=True)
class Package:
    """One unpacked package."""

    name: str
    version: str
    root: Path
    """The folder that stands for / in it."""


class Packages:
    """Debian's archive as this machine's apt sees it, with a cache of what was fetched.

    C{cache} holds packages under names with their versions: fetched once, unpacked
    once, never changed. C{say} is told of what takes long.
    """

    def __init__(self, cache: Path, say: Callable[[str], None] = lambda line: None) -> None:
        for tool in ("apt-get", "apt-cache", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise PackageError(
                    f"no {tool} here: Debian's Python and kernel can't be fetched; "
                    "build the image on Debian, or in a container of it"
                )
        self._cache = cache
        self._say = say
        self._updated = False
        (cache / "apt" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        # A container's apt keeps no index of its lists, and reads them anew at each call.
        self._options = [
            *("-o", f"Dir::Cache::pkgcache={cache}/apt/pkgcache.bin"),
            *("-o", f"Dir::Cache::srcpkgcache={cache}/apt/srcpkgcache.bin"),
            # _apt, whom root hands downloads to, may not enter a private folder.
            *("-o", "APT::Sandbox::User=root"),
        ]

    def candidates(self, names: Iterable[str]) -> dict[str, str]:
        """The version of each that apt would install. Raises C{PackageError} for unknown names."""
        wanted = list(names)
        found = self._candidates(wanted)
        if len(found) < len(set(wanted)) and not self._updated:
            self._update()
            found = self._candidates(wanted)
        missing = [name for name in wanted if name not in found]
        if missing:
            raise PackageError(f"apt knows no package {', '.join(missing)}; see apt-cache policy")
        return found

    def depends(self, names: Iterable[str]) -> list[str]:
        """The packages that C{names} depend on directly, virtual ones left out."""
        wanted = list(self.candidates(names))
        return _DEPENDS.findall(self._run("apt-cache", "depends", "--important", *wanted))

    def fetch(self, names: Iterable[str]) -> list[Package]:
        """The unpacked packages, in order. Raises C{PackageError} if one can't be fetched."""
        packages = [
            Package(
                name, version, self._cache / "unpacked" / f"{name}_{version.replace(':', '%3a')}"
            )
            for name, version in self.candidates(names).items()
        ]
        missing = [package for package in packages if not package.root.is_dir()]
        if missing:
            for package, archive in zip(missing, self._download(missing), strict=True):
                self._unpack(archive, package.root)
        return packages

    def _download(self, packages: Sequence[Package]) -> list[Path]:
        folder = self._cache / "archives"
        folder.mkdir(parents=True, exist_ok=True)
        wanted = [f"{package.name}={package.version}" for package in packages]
        with TemporaryDirectory(prefix="subproxy-apt-") as empty:  # it names no file that is there
            uris = self._run("apt-get", "download", "--print-uris", *wanted, cwd=Path(empty))
        archives = {name.partition("_")[0]: folder / name for name in _URI.findall(uris)}
        if any(package.name not in archives for package in packages):
            raise PackageError(f"apt names no file for one of {', '.join(wanted)}")
        absent = [w for w, p in zip(wanted, packages, strict=True) if not archives[p.name].exists()]
        for number, package in enumerate(absent, 1):
            self._say(f"downloading {package} ({number} of {len(absent)})")
            self._run("apt-get", "download", "--quiet", package, cwd=folder)
        return [archives[package.name] for package in packages]

    def _unpack(self, archive: Path, root: Path) -> None:
        partial = root.with_name(f"{root.name}.{os.getpid()}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        self._run("dpkg-deb", "--extract", str(archive), str(partial))
        try:
            partial.rename(root)
        except OSError:  # another build was faster
            shutil.rmtree(partial)

    def _candidates(self, names: Sequence[str]) -> dict[str, str]:
        policies = self._run("apt-cache", "policy", *names)
        known = {
            name: version for name, version in _POLICY.findall(policies) if version != "(none)"
        }
        return {name: known[name] for name in names if name in known}

    def _update(self) -> None:
        """Fetch apt's lists into the cache, with the system's own sources and keys."""
        lists = self._cache / "lists"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        self._options += [
            "-o",
            f"Dir::State::lists={lists}/",
            "-o",
            f"Dir::Cache={self._cache}/apt",
        ]
        self._updated = True
        self._say("downloading Debian's package lists")
        self._run("apt-get", "update")

    def _run(self, command: str, *arguments: str, cwd: Path | None = None) -> str:
        options = self._options if command.startswith("apt-") else []
        done = subprocess.run(
            [command, *options, *arguments],
            cwd=cwd,
            env=os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise PackageError(f"{command} {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout
