"""
A changed module in a process: its functions get other code, or it is imported anew.

The first is quick: all is imported already, and whoever holds a function holds the changed one. It
will do where nothing but the inside of functions differs that nobody calls during an import.
"""

from __future__ import annotations

import ast
import gc
import importlib.abc
import importlib.util
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

Key = tuple[str, int]
"""A function's name and first line."""

OPTIMIZED = 0x0001
"""CO_OPTIMIZED: the code of a function, not of a module or class."""

COMPREHENSIONS = frozenset(("<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>"))
"""What is called where it stands, and then is gone."""


def changed_functions(before: CodeType, after: CodeType) -> dict[Key, CodeType] | None:
    """
    The code that functions get, by their names.

    @return: None if something else differs: what a module or class does while it is imported, its
        comprehensions too, or what a function holds of those around it; or if there are two of such
        a name in a line.
    """
    found: dict[Key, CodeType] = {}
    return found if _compare(before, after, found) else None


def _compare(before: CodeType, after: CodeType, found: dict[Key, CodeType]) -> bool:
    inner, others = _children(before), _children(after)
    same = _own(before) == _own(after)
    if not before.co_flags & OPTIMIZED and not same:
        return False
    if before.co_freevars != after.co_freevars:
        return False
    if any(number for _, _, number in inner):
        return False
    if set(inner) == set(others):
        if not all(_compare(inner[key], others[key], found) for key in inner):
            return False
        if not before.co_flags & OPTIMIZED and any(
            key[0] in COMPREHENSIONS and code != others[key] for key, code in inner.items()
        ):
            return False
    elif same:
        return False
    if before != after and before.co_flags & OPTIMIZED:
        found[before.co_name, before.co_firstlineno] = after
    return True


def _children(code: CodeType) -> dict[tuple[str, int, int], CodeType]:
    found: dict[tuple[str, int, int], CodeType] = {}
    for each in code.co_consts:
        if isinstance(each, CodeType):
            number = sum(key[:2] == (each.co_name, each.co_firstlineno) for key in found)
            found[each.co_name, each.co_firstlineno, number] = each
    return found


def _own(code: CodeType) -> tuple[Any, ...]:
    constants = [
        (type(each), repr(each)) for each in code.co_consts if not isinstance(each, CodeType)
    ]
    names = (code.co_names, code.co_varnames, code.co_cellvars, code.co_freevars)
    return code.co_code, constants, names


class Functions:
    """All functions that this process holds, by their file and name."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str, int], list[FunctionType]] = defaultdict(list)
        for each in gc.get_objects():
            if isinstance(each, FunctionType):
                code = each.__code__
                self._held[code.co_filename, code.co_name, code.co_firstlineno].append(each)

    def holds(self, file: Path, codes: dict[Key, CodeType]) -> bool:
        """Whether there is any of these."""
        return any((str(file), *key) in self._held for key in codes)

    def change(self, file: Path, codes: dict[Key, CodeType]) -> None:
        """Give them this code."""
        for key, code in codes.items():
            for function in self._held.get((str(file), *key), ()):
                function.__code__ = code


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the mutant in place of its module."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self.name, self.path, self.tree = name, path, tree

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """The mutant, for its name alone."""
        if name == self.name:
            inside = [str(self.path.parent)] if self.path.name == "__init__.py" else None
            return importlib.util.spec_from_file_location(
                name, self.path, loader=self, submodule_search_locations=inside
            )
        return None

    def create_module(self, spec: Any) -> None:
        """An ordinary module will do."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant."""
        exec(compile(self.tree, str(self.path), "exec"), module.__dict__)

    def install(self) -> None:
        """Whatever imports the module from now on gets the mutant."""
        sys.meta_path.insert(0, self)


def module_name(path: Path) -> str:
    """C{subproxy/core/states.py} is C{subproxy.core.states}."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def importers(path: Path, sources: dict[Path, str]) -> Iterator[Path]:
    """Those of C{sources} that import the module at C{path}."""
    package, _, module = module_name(path).rpartition(".")
    for other, source in sources.items():
        names = _imports(source)
        if names.get(f"{package}.{module}") is not None or module in names.get(package, ()):
            yield other


@lru_cache(None)
def _imports(source: str) -> dict[str, set[str]]:
    """What a module imports from where."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.setdefault(node.module, set()).update(each.name for each in node.names)
    return found
