"""What a client may make one connection hold, and how much it may say at once."""

from __future__ import annotations

from typing import Final

from subproxy.core.http.request import Headers

MOST_STREAMS: Final = 100
"""Streams that a client may have open at a time."""

STREAM_WINDOW: Final = 65_536
"""Bytes that a client may send on a stream before the guest has taken some."""

LARGEST_WINDOW: Final = 262_144
"""To which the window of a stream grows whose guest takes all that comes, as long as others have
room: a client that waits for a window is woken up for each."""

CONNECTION_WINDOW: Final = 524_288
"""Likewise, on all streams together: what one connection can make us hold of its bodies."""

MOST_HEADS: Final = 393_216
"""Bytes that the heads of all streams may take while they are open, 3,900 each if there are as many
as may be: see L{head_cost}."""

MOST_WAITING: Final = 524_288
"""Bytes of answers that may wait for a client before its further requests wait, too."""

LEAST_READ: Final = 65_536
"""Bytes of an answer that are read of its guest at once where many streams are open: as many as it
may send of one in frames before some were taken."""

MOST_READ: Final = 178_176
"""The same where few are, and L{MOST_WAITING} has room for each. Of a body over TLS most of what
is Python is there once a piece."""

WRITE_BUFFER: Final = 180_224
"""Bytes that wait in the transport before the client is waited for: one such piece, in frames and
in records."""

MOST_BLOCK: Final = 65_536
"""Bytes of one block of fields, as it is sent."""

MOST_CONTINUATIONS: Final = 8
"""CONTINUATION frames behind one HEADERS: nghttp2 takes as many."""

MOST_CRUMBS: Final = 512
"""Pieces of Cookie that a request may have beside its other fields: browsers send each alone."""

MOST_SETTINGS: Final = 32
"""Entries of one SETTINGS frame."""

REMEMBERED: Final = 128
"""Streams that we have reset, on which the client may still have sent something."""

GOING: Final = b"subproxy"
"""What a PING says that asks whether the client has seen our GOAWAY."""


def head_cost(fields: Headers) -> int:
    """How many bytes the fields of a request take while it is under way, without what is the same
    for each: two strings, and a pair of them, in a list."""
    return sum(len(name) + len(value) for name, value in fields) + 128 * len(fields)
