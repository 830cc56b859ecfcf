"""What an application requires, as pip installs it for the image's Python.

Versions are those of the environment that builds the image, wherever it has the
package at all: the same environment gives the same image, and an application meets
the versions that it was tested with.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
"""Wheels for the C library of every Debian since 11, for a Python that is not the running one."""


class RequirementError(Exception):
    """Requirements that pip can't meet."""


def install(
    requirements: Sequence[str], files: Sequence[Path], target: Path, python_version: str
) -> None:
    """Install requirements, and requirement files, into C{target}.

    Raises C{RequirementError} with pip's own words.
    """
    with TemporaryDirectory(prefix="subproxy-pip-") as scratch:
        constraints = Path(scratch) / "constraints.txt"
        constraints.write_text("\n".join(_pins()))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
        command += ["--disable-pip-version-check", "--no-warn-script-location"]
        command += ["--target", str(target), "--constraint", str(constraints)]
        if python_version != running_version():
            command += ["--python-version", python_version, "--only-binary=:all:"]
            command += [f"--platform={platform}" for platform in PLATFORMS]
        command += [argument for path in files for argument in ("--requirement", str(path))]
        done = subprocess.run(
            [*command, *requirements],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RequirementError(f"pip can't install the requirements: {done.stderr.strip()}")


def running_version() -> str:
    """C{3.11}, of the Python that builds."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def _pins() -> list[str]:
    pins = {
        f"{found.metadata['Name']}=={found.version}"
        for found in importlib.metadata.distributions()
        if found.metadata["Name"] and "+" not in found.version
    }
    return sorted(pins, key=str.lower)
