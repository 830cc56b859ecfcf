"""The names of fields, as applications behind CGI or WSGI know them."""

from __future__ import annotations


def cgi_name(name: bytes) -> bytes:
    """
    One spelling for C{name} and all that CGI cannot tell from it (RFC 3875 section 4.1.18).

    There C{X-User} and C{x_user} are both C{HTTP_X_USER}; here they are both C{x-user}.
    """
    return name.lower().replace(b"_", b"-")
