"""Which TLS library is used, and why not a better one."""

from __future__ import annotations

from typing import Final

from subproxy.frontend.tls.interfaces import ITlsEngine
from subproxy.frontend.tls.python_engine import PythonEngine

AUTO: Final = "auto"
LIBRARIES: Final = (AUTO, "python")
"""What an operator may ask for."""


class LibraryUnavailable(Exception):
    """A TLS library can't be used; the text says why."""


def choose_library(asked: str) -> tuple[ITlsEngine, str]:
    """
    The engine that was asked for; for L{AUTO} the best one that there is.

    @return: it, and why it is not a better one; empty if there is none.
    @raise LibraryUnavailable: what was asked for by name can't be used.
    """
    return PythonEngine(), ""
