"""The public path of L{guest.core.request}; C{from guest import Request} is shorter."""

from guest.core.request import Request

__all__ = ["Request"]
