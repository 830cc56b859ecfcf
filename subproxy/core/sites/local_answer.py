"""An answer that no guest is asked for."""

from __future__ import annotations

from subproxy.core.http.request import Headers
from subproxy.wire.values import value_class


@value_class
class LocalAnswer:
    """
    A redirect, or who is to say who he is.

    @ivar headers: its fields, without its length.
    """

    status: int
    headers: Headers
    body: bytes = b""
