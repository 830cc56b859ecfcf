"""Names and passwords (RFC 7617): who the users of a site are, and what is asked of a client."""

from __future__ import annotations

import base64
import binascii
from dataclasses import field
from functools import cached_property
from typing import Final

from subproxy.core.http.request import Headers
from subproxy.core.sites.access_question import AccessVerdict, LetIn
from subproxy.errors import Unauthorized
from subproxy.wire.values import mixed_value_class, value_class

USER_FIELD: Final = b"X-Forwarded-User"
"""By which an application is told who came."""

MAX_PASSWORD: Final = 72
"""Bytes of a password that bcrypt looks at: one with more is nobody's."""


@mixed_value_class
class SiteUsers:
    """
    Users.

    @ivar hashes: names and the bcrypt hashes of their passwords.
    """

    hashes: tuple[tuple[bytes, bytes], ...] = field(repr=False)

    def hash_of(self, name: bytes) -> tuple[bytes, bool]:
        """
        The hash to check a password of C{name} against, and whether it can be the right one.

        Of who is not known it is somebody's: to find that out takes as long.
        """
        found = self._by_name.get(name)
        return (self.hashes[0][1], False) if found is None else (found, True)

    @cached_property
    def _by_name(self) -> dict[bytes, bytes]:
        return dict(self.hashes)


@value_class
class PasswordQuestion:
    """Whether somebody is who he says he is."""

    users: SiteUsers
    name: bytes
    password: bytes = field(repr=False)
    client: bytes = b""

    def verdict(self, good: bool) -> AccessVerdict:
        """What comes of it."""
        return LetIn([(USER_FIELD, self.name)]) if good else CHALLENGE


CHALLENGE: Final = Unauthorized()
"""What is said to those who have not said who they are, or not truly."""


def credentials(headers: Headers) -> tuple[bytes, bytes] | None:
    """The name and the password that a client sends; None if it sends none, or two."""
    told = [value for name, value in headers if name.lower() == b"authorization"]
    if len(told) != 1:
        return None
    scheme, _, rest = told[0].strip().partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        decoded = base64.b64decode(rest.strip(), validate=True)
    except binascii.Error:
        return None
    name, _, password = decoded.partition(b":")
    if not name or min(name) < 0x20 or 0x7F in name:
        return None
    if not password or len(password) > MAX_PASSWORD or 0 in password:
        return None
    return name, password
