"""
The client of certbot's library C{acme}, with a C{Retry-After} that may be a date.

Its times are naive and local, but the one it makes of a date is of GMT
(C{findings/acme-retry-after-date.sh}): an order that waits for it fails west of Greenwich, and asks
without a pause east of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final

LEAST: Final = timedelta(seconds=1)
"""What is waited for, whatever is said."""


def local_time(said: str) -> datetime | None:
    """
    What a date of HTTP (RFC 9110 section 5.6.7) says, as the library compares it: naive and local.

    @return: None if it is no date.
    """
    try:
        when = parsedate_to_datetime(said)
        if when.tzinfo is None:
            when = when.replace(tzinfo=timezone.utc)
        return when.astimezone().replace(tzinfo=None)
    except (TypeError, ValueError, OverflowError):
        return None


def client_class() -> Any:
    """The class of clients; made when it is wanted, for the library takes long to import."""
    from acme.client import ClientV2
    from requests import Response

    class AuthorityClient(ClientV2):
        @classmethod
        def retry_after(cls, response: Response, default: int) -> datetime:
            when = local_time(response.headers.get("Retry-After", ""))
            if when is None:
                return super().retry_after(response, default)
            # By a clock that is ahead of theirs it is over: not to ask without a pause.
            return max(when, datetime.now() + LEAST)

    return AuthorityClient
