"""HEADERS whose CONTINUATION is to come: RFC 9113 section 6.10."""

from __future__ import annotations


class FieldBlock:
    """
    Fields of one stream, as they are sent, that are not whole.

    @ivar number: the stream.
    @ivar flags: those of HEADERS.
    @ivar text: what is here.
    @ivar depends: they say that the stream depends on itself.
    @ivar more: CONTINUATION frames so far.
    """

    __slots__ = ("depends", "flags", "more", "number", "text")

    def __init__(self, number: int, flags: int, text: bytes, depends: bool) -> None:
        self.number = number
        self.flags = flags
        self.text = text
        self.depends = depends
        self.more = 0
