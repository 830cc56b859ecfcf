"""
How many elements a frame has, found out before it is decoded (docs/protocol.md, "Frames").

The smallest element takes three bytes, so that a frame of 256 KiB could hold 87,000 of them, and
to make an object of each takes tens of milliseconds. This stops at the first that is too many.
"""

from __future__ import annotations

from subproxy.wire.errors import FrameError
from subproxy.wire.limits import MAX_ELEMENTS, MAX_LENGTH_DIGITS

_SMALLEST = 3
"""Bytes of the smallest element: C{0:~}."""
_LIST = 0x5D
_DICTIONARY = 0x7D


def check_elements(data: bytes, start: int, end: int) -> None:
    """
    See that the payload C{data[start:end]} of a frame has at most L{MAX_ELEMENTS} elements.

    Elements of lists, keys and values count, at any depth; the frame itself does not. It takes
    time by the number of elements, not of bytes, and for most frames none: those that are
    short, or hold few colons.

    @raise FrameError: there are more; or an element before that has no good length.
    """
    if end - start <= _SMALLEST * MAX_ELEMENTS:
        return
    # Of a body there are three elements and many bytes: sooner walked than searched.
    if data[start : start + 7] != b"4:body," and data.count(b":", start, end) <= MAX_ELEMENTS:
        return
    count = 0
    ends: list[int] = []  # where the payloads end in which we are, without the outermost
    find = data.find
    while True:
        while start == end:
            if not ends:
                return
            start, end = end + 1, ends.pop()
        colon = find(b":", start, start + MAX_LENGTH_DIGITS + 1)
        digits = data[start : max(start, colon)]  # none, where there is no colon
        if not digits.isdigit():
            raise FrameError("an element begins with its length")
        payload = colon + 1
        last = payload + int(digits)
        if last >= end:
            raise FrameError("an element is cut off")
        count += 1
        if count > MAX_ELEMENTS:
            raise FrameError(f"more than {MAX_ELEMENTS} elements")
        if data[last] == _LIST or data[last] == _DICTIONARY:
            ends.append(end)
            start, end = payload, last
        else:
            start = last + 1
