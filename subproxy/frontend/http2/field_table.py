"""
The tables of HPACK: the static one, and what a connection adds (RFC 7541 sections 2.3 and 4).

Compiled a second time: L{subproxy.fastpath._hpack} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections import deque
from typing import Final

from subproxy.core.http.request import Header

STATIC_TABLE: Final[tuple[Header, ...]] = (
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
)
"""RFC 7541 appendix A; its first entry has the index 1."""

OVERHEAD: Final = 32
"""Bytes that an entry counts beyond its name and value; and a field in the size of a list."""

TABLE_SIZE: Final = 4096
"""Bytes that the dynamic table may have: what every client assumes (SETTINGS_HEADER_TABLE_SIZE)."""


class DynamicTable:
    """
    What was sent before and may be named by its index, the youngest first.

    @ivar limit: how large it may be: the sender says so, up to L{TABLE_SIZE}.
    """

    __slots__ = ("_entries", "_size", "limit")

    def __init__(self) -> None:
        self._entries: deque[Header] = deque()
        self._size = 0
        self.limit = TABLE_SIZE

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, index: int) -> Header:
        """
        What C{index} names, in both tables.

        @raise IndexError: nothing.
        """
        if index <= 0:
            raise IndexError(index)
        if index <= len(STATIC_TABLE):
            return STATIC_TABLE[index - 1]
        return self._entries[index - len(STATIC_TABLE) - 1]

    def add(self, field: Header) -> None:
        """Put C{field} in front; what is larger than the table empties it."""
        size = len(field[0]) + len(field[1]) + OVERHEAD
        self._shrink(self.limit - size)
        if size <= self.limit:
            self._entries.appendleft(field)
            self._size += size

    def resize(self, limit: int) -> None:
        """Be at most C{limit} bytes large from now on."""
        self.limit = limit
        self._shrink(limit)

    def _shrink(self, size: int) -> None:
        entries = self._entries
        while entries and self._size > size:
            name, value = entries.pop()
            self._size -= len(name) + len(value) + OVERHEAD
