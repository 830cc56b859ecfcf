"""Which of the optional extensions are there."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent


def missing(package: Path = HERE) -> list[str]:
    """The extensions of C{package} that were not compiled for this Python: C{relay._flow}."""
    return [
        ".".join(source.relative_to(package).with_suffix("").parts)
        for source in sorted(package.rglob("*.pyx"))
        if not any(source.with_suffix(end).exists() for end in EXTENSION_SUFFIXES)
    ]


def shortfall(package: Path = HERE) -> str | None:
    """What an administrator should know of it; None if all is compiled.

    The package's sources tell what there could be: each C{.pyx} is installed beside its extension.
    """
    lacking = missing(package)
    if not lacking:
        return None
    if len(lacking) == len(list(package.rglob("*.pyx"))):
        return (
            "nothing is compiled here: requests take the Python path, on epoll, and cost more CPU"
        )
    return f"not all is compiled here: {', '.join(lacking)} is missing"
