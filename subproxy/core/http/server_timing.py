"""C{Server-Timing}: the parts of the time that an answer took, for who develops its page."""

from __future__ import annotations


def server_timing(queued: float, wake: float, guest: float) -> tuple[bytes, bytes]:
    """
    The field (W3C Server Timing, section 4), whose C{dur} are milliseconds.

    @param queued: seconds in a queue, as are the others: until a machine was up; with guests.
    """
    return (
        b"Server-Timing",
        b"queued;dur=%.3f, wake;dur=%.3f, guest;dur=%.3f"
        % (queued * 1000, wake * 1000, guest * 1000),
    )
