"""Which TLS library is used, and why not a better one."""

from __future__ import annotations

from typing import Final

from subproxy.frontend.tls.interfaces import ITlsEngine, LibraryUnavailable

AUTO: Final = "auto"
LIBRARIES: Final = (AUTO, "system", "wheel", "python")
"""What an operator may ask for."""


def choose_library(asked: str) -> tuple[ITlsEngine, str]:
    """
    The engine that was asked for; for L{AUTO} the best one that there is.

    @return: it, and why it is not a better one; empty if there is none.
    @raise LibraryUnavailable: what was asked for by name can't be used.
    """
    engines = {"system": _system, "wheel": _wheel, "python": _python}
    if asked != AUTO:
        return engines[asked](), ""
    reasons: list[str] = []
    for make in (_system, _wheel):
        try:
            return make(), "; ".join(reasons)
        except LibraryUnavailable as error:
            reasons.append(str(error))
    return _python(), "; ".join(reasons)


# Imported here: settings are read of which nobody asks for TLS.


def _system() -> ITlsEngine:
    try:
        from subproxy.frontend.tls.system_engine import SystemEngine
    except ImportError as error:
        raise LibraryUnavailable(f"its layer is not compiled: {error}") from None
    return SystemEngine()


def _wheel() -> ITlsEngine:
    try:
        from subproxy.frontend.tls.wheel_engine import WheelEngine
    except ImportError as error:
        raise LibraryUnavailable(f"its layer is not compiled: {error}") from None
    return WheelEngine()


def _python() -> ITlsEngine:
    from subproxy.frontend.tls.python_engine import PythonEngine

    return PythonEngine()
