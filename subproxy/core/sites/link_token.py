"""Where a request has the token of a signed link: in its address at first, then in a cookie."""

from __future__ import annotations

from typing import Final

from subproxy.core.http.request import Header, Headers

NAME: Final = b"subproxy_link"
"""What the parameter of the address is called, and the cookie."""

MOST: Final = 8
"""Tokens of a request that are looked at: a browser has a cookie for each path that has a link."""

_BEGIN: Final = NAME + b"="


def tokens_of_target(target: bytes) -> list[bytes]:
    """The tokens in the query of C{target}."""
    if _BEGIN not in target:
        return []
    query = target.partition(b"?")[2]
    return [part[len(_BEGIN) :] for part in query.split(b"&") if part.startswith(_BEGIN)][:MOST]


def target_without_token(target: bytes) -> bytes:
    """C{target}, without the tokens in its query; all else stays as it was sent."""
    if _BEGIN not in target:
        return target
    path, _, query = target.partition(b"?")
    kept = b"&".join(part for part in query.split(b"&") if not part.startswith(_BEGIN))
    return path + b"?" + kept if kept else path


def target_with_token(target: bytes, token: bytes) -> bytes:
    """C{target}, with C{token} as the last parameter of its query."""
    path, _, query = target.partition(b"?")
    return path + b"?" + (query + b"&" if query else b"") + _BEGIN + token


def tokens_of_cookies(headers: Headers) -> list[bytes]:
    """The tokens in cookies of ours."""
    return [
        cookie.strip()[len(_BEGIN) :]
        for name, value in headers
        if len(name) == 6 and name.lower() == b"cookie"
        for cookie in value.split(b";")
        if cookie.strip().startswith(_BEGIN)
    ][:MOST]


def without_cookie(headers: Headers) -> Headers:
    """C{headers} without cookies of ours; the same object where there are none."""
    if not any(_has_ours(name, value) for name, value in headers):
        return headers
    kept: Headers = []
    for name, value in headers:
        if _has_ours(name, value):
            value = b"; ".join(each.strip() for each in value.split(b";") if not _is_ours(each))
            if not value:
                continue
        kept.append((name, value))
    return kept


def _has_ours(name: bytes, value: bytes) -> bool:
    return (
        len(name) == 6
        and name.lower() == b"cookie"
        and NAME in value
        and any(map(_is_ours, value.split(b";")))
    )


def _is_ours(cookie: bytes) -> bool:
    return cookie.partition(b"=")[0].strip() == NAME


def cookie(token: bytes, path: bytes, seconds: int, *, secure: bool) -> Header:
    """
    The field that has a browser keep C{token} for what is below C{path}.

    No script can read it. C{SameSite=Lax}: who follows an address on another page is let in, and
    no form or picture of another page is.
    """
    value = b"%b%b; Path=%b; Max-Age=%d; HttpOnly; SameSite=Lax" % (_BEGIN, token, path, seconds)
    return b"Set-Cookie", value + b"; Secure" if secure else value
