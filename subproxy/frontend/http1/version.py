"""What the versions of HTTP/1 can do: capabilities, so that nobody compares version numbers."""

from __future__ import annotations

from typing import Final, NamedTuple


class Http1Version(NamedTuple):
    """
    What one version of HTTP/1 has (RFC 9112, and RFC 1945 for 1.0).

    @ivar number: as it stands behind C{HTTP/}.
    @ivar persistent: a connection stays unless one side says otherwise (section 9.3).
    @ivar chunked: bodies of unknown length have an end of their own, and trailers (section 7.1).
    @ivar interim: interim responses (1xx), and so C{Expect} (RFC 9110 sections 15.2 and 10.1.1).
    @ivar needs_host: a request without Host is malformed (section 3.2).
    """

    number: bytes
    persistent: bool
    chunked: bool
    interim: bool
    needs_host: bool


HTTP_1_0: Final = Http1Version(b"1.0", False, False, False, False)
HTTP_1_1: Final = Http1Version(b"1.1", True, True, True, True)

VERSIONS: Final[dict[bytes, Http1Version]] = {each.number: each for each in (HTTP_1_0, HTTP_1_1)}
"""Those that are spoken here, by their number; any other gets 505."""
