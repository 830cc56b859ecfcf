"""The public path of L{guest.core.response}; C{from guest import Response} is shorter."""

from guest.core.response import Response

__all__ = ["Response"]
