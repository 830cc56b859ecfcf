"""
Fields as HPACK has them: RFC 7541 section 6.

Read with everything a client may send, and with limits: a list that is too large is read to its
end, because the table has to stay what the client thinks it is, but is not kept. Written with
the static table alone: what needs no memory cannot be made to need much, and tells nobody by its
length what stood in another answer.

Compiled a second time: L{subproxy.fastpath._hpack} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from subproxy.core.http.request import Header, Headers
from subproxy.frontend.http2.field_table import OVERHEAD, STATIC_TABLE, TABLE_SIZE, DynamicTable
from subproxy.frontend.http2.huffman import HuffmanError, huffman_decode

_MOST = 0x7FFF_FFFF
_MOST_SHIFT = 28
"""A number has at most five bytes behind its first: no length or index needs more."""


class HpackError(Exception):
    """A block of fields is malformed: the table of the connection can't be trusted any more."""


class IFieldDecoder(Protocol):
    """Reads the blocks of one connection."""

    def decode(self, block: bytes, size: int, count: int) -> Headers | None:
        """
        The fields of C{block}, in order.

        @param size: how large their list may be: names, values, and L{OVERHEAD} for each.
        @param count: how many there may be.
        @return: None if it is larger, or there are more.
        @raise HpackError: it is malformed.
        """


class HpackDecoder:
    """Reads the blocks of one connection: see L{IFieldDecoder}."""

    __slots__ = ("_table",)

    def __init__(self) -> None:
        self._table = DynamicTable()

    def decode(self, block: bytes, size: int, count: int) -> Headers | None:
        """See L{IFieldDecoder}."""
        fields: Headers = []
        table = self._table
        at, end = 0, len(block)
        begun = over = False
        try:
            while at < end:
                byte = block[at]
                if byte & 0x80:
                    index, at = read_integer(block, at, 7)
                    field = table.entry(index)
                elif byte & 0xE0 == 0x20:
                    if begun:
                        raise HpackError("the size of the table changes behind a field")
                    limit, at = read_integer(block, at, 5)
                    if limit > TABLE_SIZE:
                        raise HpackError("the table is larger than it may be")
                    table.resize(limit)
                    continue
                else:
                    field, at = _literal(block, at, table)
                    if byte & 0x40:
                        table.add(field)
                begun = True
                size -= len(field[0]) + len(field[1]) + OVERHEAD
                count -= 1
                if size < 0 or count < 0:
                    over = True
                    fields.clear()
                if not over:
                    fields.append(field)
        except IndexError:
            raise HpackError("an index or a length leads nowhere") from None
        except HuffmanError as error:
            raise HpackError(str(error)) from None
        return None if over else fields


def _literal(block: bytes, at: int, table: DynamicTable) -> tuple[Header, int]:
    """A field whose value, and perhaps its name, is spelled out."""
    index, at = read_integer(block, at, 6 if block[at] & 0x40 else 4)
    if index:
        name = table.entry(index)[0]
    else:
        name, at = _string(block, at)
    value, at = _string(block, at)
    return (name, value), at


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    huffman = block[at] & 0x80
    length, at = read_integer(block, at, 7)
    end = at + length
    if end > len(block):
        raise HpackError("a string is longer than its block")
    text = block[at:end]
    return (huffman_decode(text) if huffman else text), end


def read_integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    """
    A number that begins in the last C{bits} bits of C{block[at]} (section 5.1).

    @return: the number, and where it ends.
    @raise IndexError: the block ends before it.
    @raise HpackError: it is larger than any that means something.
    """
    most = (1 << bits) - 1
    number = block[at] & most
    at += 1
    if number < most:
        return number, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        if shift > _MOST_SHIFT:
            raise HpackError("a number is too long")
        number += (byte & 0x7F) << shift
        if number > _MOST:
            raise HpackError("a number is too large")
        if not byte & 0x80:
            return number, at
        shift += 7


def put_integer(bits: int, first: int, number: int) -> bytes:
    """C{number} in C{bits} bits and as many bytes as it needs; C{first} is what is before them."""
    most = (1 << bits) - 1
    if number < most:
        return bytes((first | number,))
    written = bytearray((first | most,))
    number -= most
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


_INDEXED: Final = {field: bytes((0x80 | at,)) for at, field in enumerate(STATIC_TABLE, 1)}
_NAMED: Final[dict[bytes, int]] = {
    name: at for at, (name, _) in reversed(list(enumerate(STATIC_TABLE, 1)))
}
_SECRET: Final = frozenset({b"set-cookie", b"authorization", b"www-authenticate"})
"""Fields that whoever passes them on must not put into a table (section 7.1.3)."""


def encode_fields(fields: Iterable[Header]) -> bytes:
    """A block of C{fields}, whose names are in lower case."""
    return b"".join([encode_field(name, value) for name, value in fields])


def encode_field(name: bytes, value: bytes) -> bytes:
    """One field of a block."""
    whole = _INDEXED.get((name, value))
    if whole is not None:
        return whole
    first = 0x10 if name in _SECRET else 0
    index = _NAMED.get(name)
    text = put_integer(7, 0, len(value)) + value
    if index is not None:
        return put_integer(4, first, index) + text
    return bytes((first,)) + put_integer(7, 0, len(name)) + name + text
