"""The public path of L{guest.core.framework}."""

from guest.core.framework import Framework, asyncio_framework

__all__ = ["Framework", "asyncio_framework"]
