"""An answer that no guest is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from subproxy.core.http.request import Headers


@dataclass(frozen=True, slots=True)
class LocalAnswer:
    """
    A redirect, or who is to say who he is.

    @ivar headers: its fields, without its length.
    """

    status: int
    headers: Headers
    body: bytes = b""
