"""Modules that others name and the proxy mostly does not use: loaded if somebody does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import Any

UNUSED = frozenset(
    {
        # Twisted's `twistd`. With what they import, `urllib.request`, `http.client`, `email` and
        # `html` among it, a tenth of a start, and 2 MB.
        *("http.cookiejar", "pdb"),
        # asyncio, which Twisted imports, and rules of ours that few have: with libcrypto 5 MB.
        *("asyncio.sslproto", "hashlib", "ssl"),
        # zipfile, for plugins of Twisted in an archive.
        *("bz2", "lzma"),
    }
)

_lock = RLock()
_loading: set[ModuleType] = set()


class LateModule(ModuleType):
    """A module that is loaded when something of it is asked for that importing has not given it."""

    def __getattr__(self, name: str) -> Any:
        with _lock:
            if self in _loading:
                # It looks into itself, before it has that.
                raise AttributeError(f"module {self.__name__!r} has no {name!r} yet")
            # Else another thread has been faster.
            if type(self) is LateModule:
                spec = self.__spec__
                assert spec is not None
                assert isinstance(spec.loader, LateLoader)
                _loading.add(self)
                try:
                    spec.loader.load(self)
                finally:
                    _loading.discard(self)
        return getattr(self, name)


class LateLoader:
    """
    Makes a L{LateModule} of what C{loader} would load.

    An C{importlib.abc.Loader}, which is not imported for that: it needs C{tempfile} and C{shutil}.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """What the module is to be; None: as modules are."""
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        """It only looks like one that was loaded."""
        module.__class__ = LateModule

    def load(self, module: ModuleType) -> None:
        """Load it, as it would have been."""
        spec = module.__spec__
        assert spec is not None
        spec.loader = module.__loader__ = self._loader
        try:
            self._loader.exec_module(module)
        except BaseException:
            spec.loader = module.__loader__ = self  # type: ignore[assignment]
            raise
        module.__class__ = ModuleType


class LateModuleFinder:
    """
    Finds some modules as C{sys.meta_path} does, to be loaded at the first look into them.

    Not by C{importlib.util.LazyLoader}: what that has made is loaded as soon as it is imported a
    second time. Guests have the like in C{guest.cli.late_import}: they share the wire with us, and
    no more.
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
            spec.loader = LateLoader(spec.loader)  # type: ignore[assignment]
        return spec


def load_late(names: frozenset[str] = UNUSED) -> None:
    """Have these modules loaded late from now on, if they aren't there yet."""
    sys.meta_path.insert(0, LateModuleFinder(names))
