"""Which of the optional extensions are there."""

from __future__ import annotations

import os
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent


def missing(package: Path = HERE) -> list[str]:
    """The extensions of C{package} that were not compiled for this Python: C{relay._flow}."""
    return [name for name, compiled in sorted(_extensions(package).items()) if not compiled]


def shortfall(package: Path = HERE) -> str | None:
    """What an administrator should know of it; None if all is compiled.

    The package's sources tell what there could be: each C{.pyx} is installed beside its extension.
    """
    found = _extensions(package)
    lacking = [name for name, compiled in sorted(found.items()) if not compiled]
    if not lacking:
        return None
    if len(lacking) == len(found):
        return (
            "nothing is compiled here: requests take the Python path, on epoll, and cost more CPU"
        )
    return f"not all is compiled here: {', '.join(lacking)} is missing"


def _extensions(package: Path) -> dict[str, bool]:
    """What could be compiled, and whether it is. Each start asks, so that no path is an object."""
    found = {}
    for folder, folders, files in os.walk(package):
        if "__pycache__" in folders:
            folders.remove("__pycache__")
        there = set(files)
        for file in files:
            name, end = os.path.splitext(file)
            if end == ".pyx":
                inner = os.path.relpath(os.path.join(folder, name), package)
                found[inner.replace(os.sep, ".")] = any(
                    name + suffix in there for suffix in EXTENSION_SUFFIXES
                )
    return found
