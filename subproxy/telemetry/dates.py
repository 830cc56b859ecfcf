"""The time of day as HTTP and logs write it."""

from __future__ import annotations

import time

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(seconds: float) -> bytes:
    """C{seconds} since the epoch as an IMF-fixdate (RFC 9110 section 5.6.7)."""
    now = time.gmtime(seconds)
    return b"%b, %02d %b %04d %02d:%02d:%02d GMT" % (
        _DAYS[now.tm_wday].encode(),
        now.tm_mday,
        _MONTHS[now.tm_mon - 1].encode(),
        now.tm_year,
        now.tm_hour,
        now.tm_min,
        now.tm_sec,
    )


def log_date(seconds: float) -> bytes:
    """C{seconds} since the epoch, in UTC, as the common log format has it."""
    now = time.gmtime(seconds)
    return b"%02d/%b/%04d:%02d:%02d:%02d +0000" % (
        now.tm_mday,
        _MONTHS[now.tm_mon - 1].encode(),
        now.tm_year,
        now.tm_hour,
        now.tm_min,
        now.tm_sec,
    )


def iso_date(seconds: float) -> bytes:
    """C{seconds} since the epoch, in UTC, as RFC 3339 has it, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)).encode()
