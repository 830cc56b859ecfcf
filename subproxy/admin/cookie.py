"""
The cookie of an operator's browser that has shown the token once.

It is not the token: it says until when it holds, signed with the token, so that nothing has to be
remembered, it ends by itself, and a new token ends them all. Cookies know no port: whatever else
is served under the same host name sees it too, so it must not last, and opens no C{Authorization}.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from hashlib import sha256

LIFETIME = 12 * 3600
"""Seconds that one holds."""


class SignedCookie:
    """
    Makes cookies, and knows its own.

    @ivar name: of the cookie; another token's has another one, since two proxies of one host
        would take each other's away.
    @param token: what signs.
    """

    def __init__(self, token: bytes) -> None:
        self._token = token
        self.name = b"subproxy-admin-" + self._sign(b"name")[:8]

    def issue(self, now: float, *, secure: bool) -> bytes:
        """
        The value of C{Set-Cookie} (RFC 6265) for who has shown the token.

        @param now: seconds since 1970.
        @param secure: it came over TLS, and is to come over nothing else.
        """
        until = b"%d" % (now + LIFETIME)
        value = until + b"." + self._sign(b"until " + until)
        return self._field(value, LIFETIME, secure)

    def withdraw(self, *, secure: bool) -> bytes:
        """The value of C{Set-Cookie} that makes a browser forget it."""
        return self._field(b"", 0, secure)

    def holds(self, fields: Iterable[bytes], now: float) -> bool:
        """Whether one of the values of the C{Cookie} fields has a cookie of ours that holds."""
        found = False
        for field in fields:
            for pair in field.split(b";"):
                name, _, value = pair.strip(b" \t").partition(b"=")
                found |= name == self.name and self._is_good(value, now)
        return found

    def _is_good(self, value: bytes, now: float) -> bool:
        until, _, signature = value.partition(b".")
        good = hmac.compare_digest(signature, self._sign(b"until " + until))
        # What we have signed is a number of ten digits or so.
        return good and now < int(until)

    def _field(self, value: bytes, age: int, secure: bool) -> bytes:
        end = b"; Secure" if secure else b""
        return b"%b=%b; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%b" % (
            self.name,
            value,
            age,
            end,
        )

    def _sign(self, what: bytes) -> bytes:
        return hmac.digest(self._token, b"subproxy admin " + what, sha256).hex().encode()
