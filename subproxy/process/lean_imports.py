"""Imports at the start of the proxy: of what it uses, and without looking for garbage meanwhile."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from subproxy.endpoints.openssl import openssl


@contextmanager
def lean_imports() -> Iterator[None]:
    """
    A context for imports: a tenth less CPU time, and 13 MB less of memory.

    Nothing of what an import makes is garbage, but each of its classes is in a cycle, so that
    collecting looks at all of them again and again. They are never looked at afterwards either.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        openssl.postpone()
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
