"""Who imports whom, read from the sources: Python, Cython and stubs, type checking counted."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

Graph = dict[str, set[str]]
"""The modules that each module imports, by full name."""

_CYTHON = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+c?import[ \t]+(\([^)]*\)|[^\n#]+)"
    r"|c?import[ \t]+([\w.]+(?:[ \t]*,[ \t]*[\w.]+)*))",
    re.M,
)


@cache
def tree_of(path: Path) -> ast.Module:
    """What is in a Python source: read once, for all who look at the whole tree."""
    return ast.parse(path.read_text(), str(path))


def sources(root: Path, *packages: str) -> dict[str, list[Path]]:
    """The files of each module of these packages; a compiled one has up to three."""
    found: dict[str, list[Path]] = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py*")):
            if path.suffix in (".py", ".pyi", ".pyx", ".pxd"):
                name = ".".join(path.relative_to(root).with_suffix("").parts)
                found.setdefault(name.removesuffix(".__init__"), []).append(path)
    return found


def imported(module: str, tree: ast.AST) -> Iterator[str]:
    """The full names of all that a module imports, wherever in it; what may be no module, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = module.split(".")[: -node.level]
                base = ".".join([*parent, base] if base else parent)
            for alias in node.names:
                yield f"{base}.{alias.name}"


def cython_imported(text: str) -> Iterator[str]:
    """As L{imported}, of a Cython source: C{import} and C{cimport} alike."""
    for base, names, plain in _CYTHON.findall(text):
        if base:
            for name in names.strip("()").split(","):
                if name.strip():
                    yield f"{base}.{name.split()[0]}"
        else:
            yield from (name.strip() for name in plain.split(","))


def graph(files: Mapping[str, Iterable[Path]]) -> Graph:
    """
    The imports between these modules.

    C{from a import b} is an import of the module C{a.b} if there is one, else of C{a}. That
    C{a} runs before C{a.b} is not counted: a package says what it holds, and its modules
    do not use it for that.
    """
    found: Graph = {name: set() for name in files}
    for module, paths in files.items():
        for path in paths:
            if path.suffix in (".pyx", ".pxd"):
                names = cython_imported(path.read_text())
            else:
                names = imported(module, tree_of(path))
            for name in names:
                base = name.rpartition(".")[0]
                target = name if name in files else base
                if target in files and target != module:
                    found[module].add(target)
    return found


def circles(edges: Graph) -> list[list[str]]:
    """The strongly connected components of more than one module (Tarjan), each sorted."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = low[module] = len(number)
        stack.append(module)
        for other in edges[module]:
            if other not in number:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], number[other])
        if low[module] == number[module]:
            at = stack.index(module)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for module in edges:
        if module not in number:
            visit(module)
    return sorted(found)
