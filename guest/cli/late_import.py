"""Modules that are imported when they are used, and not when somebody says that they may be."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

SELDOM_USED = frozenset({"http.cookiejar"})
"""
What Twisted imports at its start, and a guest hardly ever uses: a tenth of the time that Twisted
takes, since C{urllib.request} and what that imports comes with it.
"""


class LateFinder:
    """Finds some modules as C{sys.meta_path} does, to be loaded at the first look into them."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What importing a module begins with; None: others look for it."""
        if name not in self._names:
            return None
        from importlib.machinery import PathFinder
        from importlib.util import LazyLoader

        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


def import_late(names: frozenset[str] = SELDOM_USED) -> None:
    """Have these modules loaded late from now on, if they aren't there yet."""
    sys.meta_path.insert(0, LateFinder(names))
