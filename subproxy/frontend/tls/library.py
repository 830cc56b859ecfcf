"""Which TLS library is used, and why not a better one."""

from __future__ import annotations

from typing import Final

from subproxy.frontend.tls.interfaces import ITlsEngine, LibraryUnavailable

AUTO: Final = "auto"
LIBRARIES: Final = (AUTO, "system", "python")
"""What an operator may ask for."""


def choose_library(asked: str) -> tuple[ITlsEngine, str]:
    """
    The engine that was asked for; for L{AUTO} the best one that there is.

    @return: it, and why it is not a better one; empty if there is none.
    @raise LibraryUnavailable: what was asked for by name can't be used.
    """
    # Imported here: settings are read of which nobody asks for TLS.
    from subproxy.frontend.tls.python_engine import PythonEngine

    if asked == "python":
        return PythonEngine(), ""
    try:
        from subproxy.frontend.tls.system_engine import SystemEngine

        return SystemEngine(), ""
    except ImportError as error:
        why = f"its layer is not compiled: {error}"
    except LibraryUnavailable as error:
        why = str(error)
    if asked != AUTO:
        raise LibraryUnavailable(why)
    return PythonEngine(), why
