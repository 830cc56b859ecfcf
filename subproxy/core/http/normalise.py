"""The one spelling of a host and of a path that routes are matched against.

Only the matching uses it: what is forwarded to a guest stays as the client sent it. Both
functions are idempotent and total: they accept any bytes. What a person should not be sent
on with (a NUL, a broken escape) is told by L{path_fault} and L{host_fault}.

Rules for paths (RFC 3986 section 6.2.2, and what nginx does where the RFC is silent):

- a query or fragment is dropped;
- C{%41} is C{A}: escapes of unreserved characters are decoded, and only those, so that
  C{%2F} never becomes a separator and C{%2e%2e} never hides a dot segment;
- hexadecimal digits of the other escapes are upper case; a C{%} that begins no escape, and
  any byte that may not stand in a path, is escaped;
- runs of slashes are one slash, as with nginx's C{merge_slashes}: otherwise C{//admin} would
  escape from the route of C{/admin} to a less specific one;
- then dot segments are removed (section 5.2.4); what climbs above the root stays at the root.
"""

from __future__ import annotations

from typing import Final

from subproxy.core.http.fields import DIGITS, IP_LITERAL, PATH, REG_NAME

_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)
PLAIN: Final = bytes(sorted(_UNRESERVED | frozenset(b"!$&'()*+,;=:@/")))
"""What stands in a normalised path as it is; with C{%} it is all that stands there."""

MAX_HOST: Final = 255
"""Bytes of a host without its port."""

_ESCAPED: Final = tuple(b"%%%02X" % byte for byte in range(256))
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")
_PERCENT: Final = 0x25


def normalise_host(host: bytes) -> bytes:
    """Return C{host} (a Host header, an authority) in lower case, without port and final dot.

    An IPv6 literal keeps its brackets: C{[::1]:80} is C{[::1]}.
    """
    if host.startswith(b"["):
        end = host.find(b"]")
        if end >= 0:
            return host[: end + 1].lower()
        return host.lower()
    port = host.find(b":")
    if port >= 0:
        host = host[:port]
    return host.rstrip(b".").lower()


def host_fault(host: bytes) -> str | None:
    """Return why C{host} is no Host field, no authority, or None if it is one.

    It is C{uri-host [":" port]} (RFC 9110 section 7.2), without userinfo.
    """
    if host[:1] == b"[":
        name, bracket, port = host[1:].partition(b"]")
        good = bool(bracket) and b":" in name and not name.translate(None, IP_LITERAL)
        if port[:1] == b":":
            port = port[1:]
        elif port:
            good = False
    else:
        name, _, port = host.partition(b":")
        good = bool(name) and not name.translate(None, REG_NAME)
    if not good or len(name) > MAX_HOST or port.translate(None, DIGITS):
        return "Host is not a host and perhaps a port"
    if len(port) > 5 or (port and int(port) > 65535):
        return "Host has a port that does not exist"
    if not normalise_host(host):
        return "Host is not a host"
    return None


def port_of(host: bytes) -> bytes:
    """Return the port in C{host}, which has no L{host_fault}; empty if it names none."""
    return host[host.rfind(b"]") + 1 :].partition(b":")[2]


def request_path_fault(path: bytes) -> str | None:
    """Return why C{path}, as a client sent it, is refused, or None if it is not."""
    fault = path_fault(path)
    if fault is None and path.translate(None, PATH):
        fault = "the path holds what may not stand there"
    return fault


def normalise_path(path: bytes) -> bytes:
    """Return the spelling of C{path} that path patterns are matched against."""
    if not path.translate(None, PLAIN) and b"/." not in path and b"//" not in path:
        return path
    return _remove_dots(_merge_slashes(_escape(_without_query(path))))


def path_fault(path: bytes) -> str | None:
    """Return why C{path} has no unambiguous meaning, or None if it has one.

    A faulty path matches no route: it deserves a 400, not a 404.
    """
    path = _without_query(path)
    if not path.startswith(b"/"):
        return "the path does not begin with a slash"
    if b".." in path or b"%2" in path:
        fault = _order_fault(path)
        if fault is not None:
            return fault
    if not path.translate(None, PLAIN):
        return None
    for at, byte in enumerate(path):
        if byte < 0x20 or byte == 0x7F:
            return "the path holds a control character"
        if byte == _PERCENT:
            digits = path[at + 1 : at + 3]
            if not _is_escape(digits):
                return "the path holds a % that is not followed by two hexadecimal digits"
            if digits == b"00":
                return "the path holds an encoded NUL"
    return None


def _order_fault(path: bytes) -> str | None:
    """
    Return whether C{path} could be read in two ways, by who merges slashes first and who does not.

    C{/a//../b} is C{/b} to us and to nginx, and C{/a/b} by RFC 3986 section 5.2.4 alone, as C{URL}
    of Node has it. An application would see a path whose rules nobody has asked. An escaped slash
    counts, as many take it for one.
    """
    path = _escape(path).replace(b"%2F", b"/").replace(b"%5C", b"/")
    if _merge_slashes(_remove_dots(path)) == _remove_dots(_merge_slashes(path)):
        return None
    return "the path can be read in two ways: it has .. behind two slashes"


def _without_query(path: bytes) -> bytes:
    for mark in (b"?", b"#"):
        end = path.find(mark)
        if end >= 0:
            path = path[:end]
    return path


def _is_escape(digits: bytes) -> bool:
    return len(digits) == 2 and digits[0] in _HEX and digits[1] in _HEX


def _escape(path: bytes) -> bytes:
    """Decode what is unreserved, spell the other escapes in upper case, escape the rest."""
    if not path.translate(None, PLAIN):
        return path
    out = bytearray()
    at = 0
    while at < len(path):
        byte = path[at]
        if byte == _PERCENT and _is_escape(digits := path[at + 1 : at + 3]):
            value = int(digits, 16)
            if value in _UNRESERVED:
                out.append(value)
            else:
                out += _ESCAPED[value]
            at += 3
            continue
        if byte in PLAIN:
            out.append(byte)
        else:
            out += _ESCAPED[byte]
        at += 1
    return bytes(out)


def _merge_slashes(path: bytes) -> bytes:
    if b"//" not in path:
        return path
    merged = b"/".join(filter(None, path.split(b"/")))
    if path.startswith(b"/"):
        merged = b"/" + merged
    if path.endswith(b"/") and not merged.endswith(b"/"):
        merged += b"/"
    return merged


def _remove_dots(path: bytes) -> bytes:
    """Remove dot segments of an absolute path; any other is left alone."""
    if b"/." not in path or not path.startswith(b"/"):
        return path
    kept: list[bytes] = []
    segments = path[1:].split(b"/")
    for segment in segments:
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)
