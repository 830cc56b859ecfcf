"""
The types of message elements: what each may be (docs/protocol.md, "Messages").

Each check takes a decoded value and returns it in the form that messages use, or raises
L{MessageError}. They are data for the table in L{subproxy.wire.messages}.

Compiled a second time: L{subproxy.fastpath._response} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from subproxy.wire.errors import HelloError, MessageError
from subproxy.wire.limits import (
    MAX_CERTIFICATE,
    MAX_CREDIT,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_HOPS,
    MAX_NAME,
    MAX_NUMBER,
    MAX_PATTERN,
    MAX_PROCESSES,
    MAX_REASON,
    MAX_TLS_NAMES,
    MAX_TUNNEL_TOKEN,
    MAX_TUNNELS,
    MAX_WEIGHT,
    VERSION,
)

Headers = list[tuple[bytes, bytes]]
Info = dict[bytes, Any]
Check = Callable[[Any], Any]


def integer(low: int, high: int) -> Check:
    """A check for an integer from C{low} to C{high}."""

    def check(value: Any) -> int:
        if type(value) is not int:
            raise MessageError("an integer is missing")
        if not low <= value <= high:
            raise MessageError(f"{value} is not between {low} and {high}")
        return value

    return check


def octets(low: int, high: int | None = None) -> Check:
    """A check for a byte string of C{low} to C{high} bytes."""

    def check(value: Any) -> bytes:
        if type(value) is not bytes:
            raise MessageError("a byte string is missing")
        if len(value) < low or (high is not None and len(value) > high):
            raise MessageError(f"a byte string of {len(value)} bytes is out of bounds")
        return value

    return check


def info(value: Any) -> Info:
    """A dictionary with byte-string keys; what it holds is looked at key by key."""
    if type(value) is not dict:
        raise MessageError("a dictionary is missing")
    for key in value:
        if type(key) is not bytes:
            raise MessageError("the keys of a dictionary are byte strings")
    return value


def boolean(value: Any) -> bool:
    """A boolean."""
    if type(value) is not bool:
        raise MessageError("a boolean is missing")
    return value


def list_of(each: Check, most: int) -> Check:
    """A check for a list of at most C{most} values that pass C{each}."""

    def check(value: Any) -> list[Any]:
        if type(value) is not list:
            raise MessageError("a list is missing")
        if len(value) > most:
            raise MessageError(f"more than {most} elements")
        return [each(one) for one in value]

    return check


_TCHAR = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_UPGRADE = re.compile(_TCHAR + rb"(?:/" + _TCHAR + rb")?")


def tunnel_token(value: Any) -> bytes:
    """A protocol as C{Upgrade} names it (RFC 9110, section 7.8): a token, perhaps C{/} and one."""
    found: bytes = _short_tunnel(value)
    if not _UPGRADE.fullmatch(found):
        raise MessageError("it is no name of a protocol")
    return found


def keys(checks: dict[bytes, Check], needed: tuple[bytes, ...] = ()) -> Check:
    """
    A check for a dictionary in which these keys, where they are there, pass these checks.

    Other keys are ignored (docs/protocol.md, "Growth").
    """

    def check(value: Any) -> Info:
        found = info(value)
        for key in needed:
            if key not in found:
                raise MessageError(f"{key.decode()} is missing")
        for key in found:
            each = checks.get(key)
            if each is not None:
                try:
                    each(found[key])
                except MessageError as error:
                    raise MessageError(f"{key.decode()}: {error}") from None
        return found

    return check


def headers(value: Any) -> Headers:
    """
    A header or trailer section: a list of lists of name and value.

    Only its shape is checked here: what HTTP allows in it is for the HTTP rules.
    """
    if type(value) is not list:
        raise MessageError("a list of header fields is missing")
    if len(value) > MAX_HEADERS:
        raise MessageError(f"more than {MAX_HEADERS} header fields")
    size = 0
    result: Headers = []
    for pair in value:
        if type(pair) is not list or len(pair) != 2:
            raise MessageError("a header field is a list of name and value")
        name, content = pair
        if type(name) is not bytes or type(content) is not bytes:
            raise MessageError("the name and value of a header field are byte strings")
        size += len(name) + len(content)
        result.append((name, content))
    if size > MAX_HEADER_BYTES:
        raise MessageError(f"more than {MAX_HEADER_BYTES} bytes of header fields")
    return result


def body(value: Any) -> bytes | Info | None:
    """
    How a body comes.

    A byte string: all of it, here. Null: in C{body} frames. A dictionary: over a data connection.
    """
    if value is None or type(value) is bytes:
        return value
    return info(value)


number = integer(1, MAX_NUMBER)
reference = integer(0, MAX_NUMBER)
credit = integer(1, MAX_CREDIT)
status = integer(100, 999)
data = octets(1)
name = octets(1, MAX_NAME)
nonce = octets(1, MAX_NAME)
pattern = octets(1, MAX_PATTERN)
reason = octets(0, MAX_REASON)
text = octets(0, MAX_REASON)
token = octets(1, MAX_NAME)
method = octets(1, 64)
target = octets(1, 65_536)

_short_tunnel = octets(1, MAX_TUNNEL_TOKEN)
tunnel_tokens = list_of(tunnel_token, MAX_TUNNELS)
process = integer(0, MAX_PROCESSES - 1)
processes = integer(1, MAX_PROCESSES)
weight = integer(1, MAX_WEIGHT)
hops = integer(0, MAX_HOPS)
identity = octets(1, MAX_REASON)
peer = keys({b"host": name, b"process": process}, (b"host",))
tls_names = list_of(octets(1, MAX_TUNNEL_TOKEN), MAX_TLS_NAMES)
tls = keys(
    {
        b"version": name,
        b"sni": text,
        b"alpn": text,
        b"verified": boolean,
        b"sha256": octets(32, 32),
        b"cert": octets(1, MAX_CERTIFICATE),
    },
    (b"version",),
)

_greeting: dict[bytes, Check] = {
    b"version": number,
    b"frame": integer(1024, 9_999_999),
    b"window": credit,
    b"inline": integer(0, MAX_CREDIT),
}
_hello = keys(
    {
        **_greeting,
        b"application": name,
        b"instance": name,
        b"worker": reference,
        b"concurrency": reference,
        b"weight": weight,
        b"agent": text,
        b"bulk": boolean,
        b"ahead": boolean,
        b"tunnel": tunnel_tokens,
        b"process": process,
        b"peer": peer,
    },
    (b"version", b"application", b"instance"),
)
_welcome = keys(
    {
        **_greeting,
        b"identity": text,
        b"ping": number,
        b"timeout": number,
        b"bulk": reference,
        b"tunnel": reference,
        b"process": process,
        b"processes": processes,
        b"epoch": name,
    },
    (b"version",),
)


def hello(value: Any) -> Info:
    """
    The info of C{hello}.

    @raise HelloError: what is wrong with it, and the code to refuse it with.
    """
    version = value.get(b"version", VERSION) if type(value) is dict else VERSION
    if type(version) is int and version != VERSION:
        raise HelloError(b"version", f"version {version}: this side speaks version {VERSION}")
    try:
        return _hello(value)  # type: ignore[no-any-return]
    except MessageError as error:
        raise HelloError(b"hello", f"hello: {error}") from None


def welcome(value: Any) -> Info:
    """The info of C{welcome}."""
    found: Info = _welcome(value)
    if found[b"version"] != VERSION:
        raise MessageError(f"version {found[b'version']}: this side speaks version {VERSION}")
    if found.get(b"process", 0) >= found.get(b"processes", 1):
        raise MessageError("process: there are not so many processes")
    return found


pong = keys({b"concurrency": reference, b"full": boolean})
register = keys(
    {
        b"identity": identity,
        b"concurrency": reference,
        b"weight": weight,
        b"tls": tls_names,
        b"passthrough": boolean,
        b"wakes": boolean,
    }
)
registered = keys({b"tls": tls_names, b"passthrough": boolean})
request = keys(
    {
        b"client": text,
        b"scheme": text,
        b"version": text,
        b"id": text,
        b"expect": boolean,
        b"tunnel": tunnel_token,
        b"ahead": token,
        b"trailers": boolean,
        b"tls": tls,
        b"hops": hops,
        b"stamped": boolean,
    }
)
response = keys({b"reason": reason})
drain = keys({b"deadline": reference})
