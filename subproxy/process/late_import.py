"""Modules that Twisted's C{twistd} names and the proxy does not use: loaded if somebody does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

UNUSED = frozenset({"http.cookiejar", "pdb"})
"""
With what they import, C{urllib.request}, C{http.client}, C{email} and C{html} among it, a tenth of
a start, and 2 MB.
"""


class LazyModuleFinder:
    """
    Finds some modules as C{sys.meta_path} does, to be loaded at the first look into them.

    Guests have the like in C{guest.cli.late_import}: they share the wire with us, and no more.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What importing a module begins with; None: others look for it."""
        if name not in self._names:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


def load_late(names: frozenset[str] = UNUSED) -> None:
    """Have these modules loaded late from now on, if they aren't there yet."""
    sys.meta_path.insert(0, LazyModuleFinder(names))
