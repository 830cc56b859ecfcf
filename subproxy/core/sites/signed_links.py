"""
Signed links: who has one may see what is below a path of a host, until it expires or is revoked.

The signature is itsdangerous's (HMAC with SHA-256): made for tokens in addresses, it signs with the
newest of several keys and takes any of them, which is what a rotation needs. Fernet of cryptography
would encrypt what is no secret, count from when a token was made, and drag a megabyte of OpenSSL
into proxies without TLS.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from subproxy.core.http.normalise import normalise_path
from subproxy.wire.values import mixed_value_class

if TYPE_CHECKING:
    from itsdangerous import URLSafeSerializer

MAX_TOKEN: Final = 2048
"""Bytes of a token."""

MAX_PATH: Final = 512
"""Bytes of the path of a link."""

MAX_LIFETIME: Final = 366 * 86400
"""Seconds that a link may live: for as long, what was revoked has to be remembered."""

_TOKEN: Final = re.compile(r"\.?[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_SALT: Final = "subproxy link 1"


class Link(NamedTuple):
    """
    What a link opens.

    @ivar name: its id, by which it is revoked.
    @ivar host: as routes have it: in lower case, no port.
    @ivar path: in its normal form; it opens this and what is below.
    @ivar expires: seconds since the epoch, from which it opens nothing.
    """

    name: str
    host: str
    path: str
    expires: int

    def opens(self, host: bytes, path: bytes) -> bool:
        """
        Whether it is for that host and path, both in their normal form.

        An escaped slash is none for a route, and many an application takes it for one: with one in
        its path, a request has to be below the link's by either reading.
        """
        if host != self.host.encode():
            return False
        readings = [path]
        if b"%2F" in path or b"%5C" in path:
            readings.append(normalise_path(path.replace(b"%2F", b"/").replace(b"%5C", b"/")))
        below = self.path.rstrip("/").encode()
        return all(each == below or each.startswith(below + b"/") for each in readings)


@mixed_value_class
class LinkKeys:
    """
    What signs links, and what knows those that were signed.

    @ivar keys: secrets, the oldest first. The last one signs.
    @ivar revoked: ids of links that open nothing any more.
    """

    keys: tuple[str, ...] = field(repr=False)
    revoked: frozenset[str] = frozenset()

    @cached_property
    def _serializer(self) -> URLSafeSerializer:
        from itsdangerous import URLSafeSerializer  # of those who have links

        return URLSafeSerializer(
            list(self.keys),
            salt=_SALT,
            signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )

    def sign(self, link: Link) -> str:
        """The token of C{link}: letters, digits, C{.}, C{-} and C{_}."""
        token = self._serializer.dumps([*link])
        assert isinstance(token, str)
        return token

    def read(self, token: bytes, now: float) -> Link | None:
        """
        The link of C{token}; None if it was not signed here, has expired or was revoked.

        @param now: seconds since the epoch.
        """
        if len(token) > MAX_TOKEN:
            return None
        text = token.decode("latin-1")
        if not _TOKEN.fullmatch(text):
            return None
        from itsdangerous import BadData

        try:
            if not _is_canonical(text):
                return None
            said = self._serializer.loads(text)
        except BadData:
            return None
        try:
            link = Link(*said)
        except TypeError:
            return None
        if [type(each) for each in link] != [str, str, str, int]:
            return None
        return None if now >= link.expires or link.name in self.revoked else link


def _is_canonical(token: str) -> bool:
    """
    Whether the signature is spelt as it was made.

    The last character of its base64 has two bits that mean nothing: who changes only these would
    have another token for the same signature.

    @raise BadData: it is no base64.
    """
    from itsdangerous.encoding import base64_decode, base64_encode

    signature = token.rpartition(".")[2].encode()
    return base64_encode(base64_decode(signature)) == signature
