"""The public path of L{guest.core.framework}, and of what the shells have of it."""

from typing import TYPE_CHECKING, Any

from guest.core.framework import Framework, FutureFunctions, framework_of

if TYPE_CHECKING:
    from guest.asyncio.framework import asyncio_framework
    from guest.twisted.framework import twisted_framework

__all__ = [
    "Framework",
    "FutureFunctions",
    "asyncio_framework",
    "framework_of",
    "twisted_framework",
]


def __getattr__(name: str) -> Any:
    """Imports a framework for who asks for it."""
    if name == "asyncio_framework":
        from guest.asyncio import framework as asyncio_shell

        return asyncio_shell.asyncio_framework
    if name == "twisted_framework":
        from guest.twisted import framework as twisted_shell

        return twisted_shell.twisted_framework
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
