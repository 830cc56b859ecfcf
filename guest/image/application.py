"""What ``APP`` of the command line names, and its files.

=============================  =====================================================
``module:Class``               a module found as Python finds it from here
``path/to/hello.py``           a file, with one application class
``path/to/hello.py:Class``     a file with several
``path/to/folder:module:Class``  a folder whose modules are importable in the guest
=============================  =====================================================
"""

from __future__ import annotations

import ast
import importlib.machinery
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BASE = "SubscriberProtocol"


class ApplicationError(ValueError):
    """An application that can't be found, or isn't named fully."""


@dataclass(frozen=True)
class Application:
    """An application: how the guest imports it, and the files that it is made of."""

    spec: str
    """``module:Class``."""

    root: Path
    """What the paths of ``files`` are relative to."""

    files: tuple[Path, ...]

    @property
    def module(self) -> str:
        """The name of its module."""
        return self.spec.partition(":")[0]


def find(app: str, search: Path | None = None) -> Application:
    """The application that ``app`` names; modules are looked for in ``search`` and ``sys.path``.

    Raises ``ApplicationError``.
    """
    head, _, rest = app.partition(":")
    path = Path(head)
    if path.is_dir() and (os.sep in head or rest.count(":") == 1):
        if rest.count(":") != 1:
            raise ApplicationError(f"{app}: a folder's application is FOLDER:module:Class")
        return Application(rest, path, tuple(_below(path)))
    if path.suffix == ".py":
        if not path.is_file():
            raise ApplicationError(f"no file {path}")
        return Application(f"{path.stem}:{rest or only_class(path)}", path.parent, (path,))
    if not rest or not all(part.isidentifier() for part in (*head.split("."), rest)):
        raise ApplicationError(f"{app}: neither module:Class nor a .py file nor a folder")
    return _importable(head, rest, search or Path.cwd())


def only_class(path: Path) -> str:
    """The one class of a file that is derived from ``SubscriberProtocol``.

    Raises ``ApplicationError`` if there are none or several, or the file isn't Python.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError) as error:
        raise ApplicationError(f"{path} isn't Python: {error}") from error
    names = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base).rpartition(".")[2] == BASE for base in node.bases)
    ]
    if len(names) != 1:
        found = f"several: {', '.join(names)}" if names else "none"
        raise ApplicationError(f"say which class: {path}:CLASS (derived from {BASE}: {found})")
    return names[0]


def _importable(module: str, name: str, search: Path) -> Application:
    top = module.partition(".")[0]
    found = importlib.machinery.PathFinder.find_spec(top, [str(search), *sys.path])
    if found is None or not found.has_location or found.origin is None:
        raise ApplicationError(f"no module {top} in {search} or on Python's path")
    origin = Path(found.origin)
    if found.submodule_search_locations is None:
        return Application(f"{module}:{name}", origin.parent, (origin,))
    return Application(f"{module}:{name}", origin.parent.parent, tuple(_below(origin.parent)))


def _below(folder: Path) -> Iterator[Path]:
    """The files of a folder, without what version control and interpreters leave there."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(p.startswith(".") or p == "__pycache__" for p in parts):
            yield path
