"""Debian's Python as files for an image, and as a program that compiles them here.

It runs through its own loader and libraries, so that the image's C{.pyc} files are
right whatever Python, and whatever C library, builds the image.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from guest.image.debian import Package, PackageError, Packages

LOADER = "ld-linux-x86-64.so.2"
LIBRARIES = ("libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libexpat1")
"""Packages of libraries beside those that Python's own depend on: C++ extensions need them."""

UNWANTED = ("libnsl", "libtirpc")
"""What only the module C{nis} needs, with all of Kerberos behind it."""

_VERSION = re.compile(r"python(\d+\.\d+)-minimal")


@dataclass(frozen=True)
class Python:
    """An unpacked Python of Debian."""

    version: str
    """C{3.11}"""

    packages: tuple[Package, ...]
    """Python's own, then those of the libraries it may need."""

    @property
    def library(self) -> str:
        """Where its standard library lies in the image."""
        return f"usr/lib/python{self.version}"

    @property
    def interpreter(self) -> str:
        """Where its program lies in the image."""
        return f"usr/bin/python{self.version}"

    @cached_property
    def shared_libraries(self) -> dict[str, Path]:
        """Every shared library of the packages, by the name that programs ask for."""
        found: dict[str, Path] = {}
        for package in self.packages:
            for path in sorted(package.root.rglob("*.so*")):
                if "python3" not in str(path.parent.relative_to(package.root)) and path.is_file():
                    found.setdefault(path.name, path)
        return found

    def stdlib(self) -> Iterator[tuple[str, Path]]:
        """Each file of the standard library: its path below C{library}, and where it is here."""
        for package in self.packages:
            base = package.root / self.library
            for path in sorted(base.rglob("*")):
                if path.is_file():
                    yield str(path.relative_to(base)), path

    def program(self) -> Path:
        """The interpreter here."""
        return next(
            package.root / self.interpreter
            for package in self.packages
            if (package.root / self.interpreter).is_file()
        )

    def run(self, script: str, data: bytes = b"") -> bytes:
        """What C{script} writes when this very Python runs it with C{data} as its input."""
        libraries = {str(path.parent) for path in self.shared_libraries.values()}
        roots = [package.root / "usr/lib" / f"python{self.version}" for package in self.packages]
        path = [str(root) for root in roots if root.is_dir()]
        path += [f"{root}/lib-dynload" for root in path]
        done = subprocess.run(
            [
                str(self.shared_libraries[LOADER]),
                "--library-path",
                ":".join(sorted(libraries)),
                str(self.program()),
                "-B",
                "-S",
                "-s",
                "-c",
                script,
            ],
            input=data,
            env={"PYTHONPATH": ":".join(path), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise PackageError(f"Debian's Python {self.version}: {done.stderr.decode().strip()}")
        return done.stdout


def fetch(packages: Packages, version: str | None = None) -> Python:
    """Debian's Python: C{version} (C{3.13}), or else the release's own C{python3}."""
    if version is None:
        found = [_VERSION.fullmatch(name) for name in packages.depends(["python3-minimal"])]
        version = next((match[1] for match in found if match), None)
        if version is None:
            raise PackageError("python3-minimal depends on no pythonX.Y-minimal")
    own = [f"python{version}-minimal", f"libpython{version}-minimal", f"libpython{version}-stdlib"]
    names = dict.fromkeys(own)
    fresh = [*own, *LIBRARIES]
    while fresh:
        names |= dict.fromkeys(fresh)
        fresh = [
            name
            for name in packages.depends(fresh)
            if name.startswith("lib") and name not in names and not name.startswith(UNWANTED)
        ]
    return Python(version, tuple(packages.fetch(names)))
