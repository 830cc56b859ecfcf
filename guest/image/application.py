"""What C{APP} of the command line names, and its files.

=============================  =====================================================
C{module:Class}               a module found as Python finds it from here
C{path/to/hello.py}           a file, with one application class
C{path/to/hello.py:Class}     a file with several
C{path/to/folder:module:Class}  a folder whose modules are importable in the guest
=============================  =====================================================

In the place of C{Class} a WSGI or ASGI application is any name, C{app.server} or C{create_app()};
a file without one has C{app} or C{application}.
"""

from __future__ import annotations

import ast
import difflib
import importlib.machinery
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

BASE = "SubscriberProtocol"
OBJECTS = ("app", "application")


class ApplicationError(ValueError):
    """An application that can't be found, or isn't named fully."""


@dataclass(frozen=True)
class Application:
    """An application: how the guest imports it, and the files that it is made of."""

    spec: str
    """C{module:Class}."""

    root: Path
    """What the paths of C{files} are relative to."""

    files: tuple[Path, ...]

    @property
    def module(self) -> str:
        """The name of its module."""
        return self.spec.partition(":")[0]


def find(app: str, search: Path | None = None, any_object: bool = False) -> Application:
    """
    The application that C{app} names; modules are looked for in C{search} and C{sys.path}.

    @param any_object: it need not be derived from C{SubscriberProtocol}: WSGI and ASGI.
    @raise ApplicationError: it isn't there, or isn't named fully.
    """
    app, call = (app[:-2], "()") if app.endswith("()") else (app, "")
    found = _find(app, search or Path.cwd(), any_object or bool(call))
    return replace(found, spec=found.spec + call)


def _find(app: str, search: Path, any_object: bool) -> Application:
    head, _, rest = app.partition(":")
    path = Path(head)
    if path.is_dir() and (os.sep in head or rest.count(":") == 1):
        if rest.count(":") != 1:
            raise ApplicationError(f"{app}: a folder's application is FOLDER:module:Class")
        check(_module_file(path, *rest.split(":")), rest.partition(":")[2], any_object)
        return Application(rest, path, tuple(_below(path)))
    if path.suffix == ".py":
        if not path.is_file():
            raise ApplicationError(f"no file {path}")
        if rest:
            check(path, rest, any_object)
        else:
            rest = only_object(path) if any_object else only_class(path)
        return Application(f"{path.stem}:{rest}", path.parent, (path,))
    if not rest or not all(part.isidentifier() for part in (*head.split("."), *rest.split("."))):
        raise ApplicationError(f"{app}: neither module:Class nor a .py file nor a folder")
    return _importable(head, rest, search, any_object)


def check(path: Path, name: str, any_object: bool = False) -> None:
    """Look whether the module C{path} can define C{name}, without running it.

    What it imports need not be here, but in the image. Raises C{ApplicationError} if it isn't
    Python, or has no such name, or, unless C{any_object}, a class that is derived from nothing.
    """
    if path.suffix != ".py":
        return  # compiled: it can't be told
    defined: dict[str, ast.AST] = {}
    for node in _statements(_parsed(path)):
        if isinstance(node, ast.ImportFrom) and any(each.name == "*" for each in node.names):
            return
        for each in _names(node):
            defined[each] = node
    if "__getattr__" in defined:
        return
    first, dot, _ = name.partition(".")
    found = defined.get(first)
    if found is None:
        near = difflib.get_close_matches(first, defined, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ApplicationError(f"{path} has no {first}{hint}")
    if isinstance(found, ast.ClassDef) and not dot and not any_object:
        plain = not found.bases and not found.keywords and not found.decorator_list
        if plain:
            raise ApplicationError(f"{path}: {name} is no {BASE}")


def only_object(path: Path) -> str:
    """
    The name that WSGI and ASGI applications usually have, of the two that are usual.

    @raise ApplicationError: the file has neither, or both, or isn't Python.
    """
    defined = {name for node in _statements(_parsed(path)) for name in _names(node)}
    found = [name for name in OBJECTS if name in defined]
    if len(found) != 1:
        there = " and ".join(found) or f"neither {' nor '.join(OBJECTS)} is there"
        raise ApplicationError(f"say which application: {path}:NAME ({there})")
    return found[0]


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is imported, whatever the conditions: no bodies of functions."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield from _statements(node)


def _names(node: ast.AST) -> Iterator[str]:
    """The names that a statement, or a part of one, defines."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for each in node.names:
            yield (each.asname or each.name).partition(".")[0]


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError) as error:
        raise ApplicationError(f"{path} isn't Python: {error}") from error


def _module_file(root: Path, module: str, name: str) -> Path:
    """The file of a module in a folder that is on the path."""
    base = root.joinpath(*module.split("."))
    for found in base.with_suffix(".py"), base / "__init__.py":
        if found.is_file():
            return found
    compiled = sorted(base.parent.glob(f"{base.name}.*.so")) if base.parent.is_dir() else []
    if compiled:
        return compiled[0]
    raise ApplicationError(f"no module {module} in {root} (for {name})")


def only_class(path: Path) -> str:
    """The one class of a file that is derived from C{SubscriberProtocol}.

    Raises C{ApplicationError} if there are none or several, or the file isn't Python.
    """
    tree = _parsed(path)
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


def _importable(module: str, name: str, search: Path, any_object: bool) -> Application:
    top = module.partition(".")[0]
    found = importlib.machinery.PathFinder.find_spec(top, [str(search), *sys.path])
    if found is None or not found.has_location or found.origin is None:
        raise ApplicationError(f"no module {top} in {search} or on Python's path")
    origin = Path(found.origin)
    within = origin.parent if found.submodule_search_locations is None else origin.parent.parent
    if found.submodule_search_locations is None and module == top:
        check(origin, name, any_object)
    else:
        check(_module_file(within, module, name), name, any_object)
    if found.submodule_search_locations is None:
        return Application(f"{module}:{name}", origin.parent, (origin,))
    return Application(f"{module}:{name}", origin.parent.parent, tuple(_below(origin.parent)))


def _below(folder: Path) -> Iterator[Path]:
    """The files of a folder, without what version control and interpreters leave there."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(p.startswith(".") or p == "__pycache__" for p in parts):
            yield path
