"""Header fields of responses, checked and encoded: most of them are the same each time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from guest.core.response import checked_fields
from subproxy.wire.limits import MAX_HEADER_BYTES, MAX_HEADERS
from subproxy.wire.whole import encoded_field

MOST = 1024
"""So many fields are remembered..."""

LONGEST = 256
"""... of which name and value have at most so many bytes."""


class FieldEncoder:
    """Encodes the header sections of whole responses, and remembers fields."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[Any, bytes | tuple[bytes, int]] = {}

    def encode(self, fields: Iterable[Any], length: int) -> bytes | None:
        """
        A header section as the payload of a list.

        @param length: of the body, with which a C{Content-Length} must agree.
        @return: None if anything is wrong, or unusual:
            L{checked_fields<guest.core.response.checked_fields>} then says what.
        """
        known = self._known
        out = []
        told = False
        for pair in fields:
            try:
                entry = known[pair]
            except (KeyError, TypeError):
                found = self._learn(pair)
                if found is None:
                    return None
                entry = found
            if type(entry) is bytes:
                out.append(entry)
            elif entry[1] == length and not told:
                told = True
                out.append(entry[0])  # type: ignore[arg-type]
            else:
                return None
        section = b"".join(out)
        if len(out) > MAX_HEADERS or len(section) > MAX_HEADER_BYTES:
            return None
        return section

    def _learn(self, pair: Any) -> bytes | tuple[bytes, int] | None:
        try:
            length = checked_fields([pair])
        except (TypeError, ValueError):
            return None
        name, value = pair
        entry: bytes | tuple[bytes, int] = encoded_field(name, value)
        if length is not None:
            entry = (entry, length)  # type: ignore[assignment]
        if type(pair) is tuple and len(name) + len(value) <= LONGEST:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[pair] = entry
        return entry
