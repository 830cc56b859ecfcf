"""Fields that an operator sets, adds or removes; which he may not, since they are the proxy's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import Final

from subproxy.core.http.cgi_name import cgi_name
from subproxy.core.http.fields import (
    FIELD_VALUE,
    FORWARDING,
    FORWARDING_PREFIX,
    FRAMING,
    HOP_BY_HOP,
    REQUEST_ID,
    TOKEN,
)
from subproxy.core.http.request import Headers
from subproxy.wire.values import value_class

_OF_BOTH: Final = HOP_BY_HOP | FRAMING | {REQUEST_ID, b"trailer"}
_OF_REQUESTS: Final = _OF_BOTH | FORWARDING | {b"host", b"expect", b"max-forwards"}

MAX_FIELDS: Final = 64
"""Fields that one rule names."""

MAX_VALUE: Final = 4096
"""Bytes of a value."""


class HeaderRuleError(ValueError):
    """A field that no rule may touch, or what is none."""


@value_class
class HeaderRules:
    """
    What is done to the fields of one message: first removed, then set, then added.

    A hyphen counts as an underscore in what is removed or set: applications behind CGI or WSGI
    can't tell them apart.

    @ivar remove: names, in lower case.
    @ivar set: fields that stand for all that were of their names.
    @ivar add: fields behind those that are there.
    """

    remove: frozenset[bytes] = frozenset()
    set: tuple[tuple[bytes, bytes], ...] = ()
    add: tuple[tuple[bytes, bytes], ...] = ()
    _gone: frozenset[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        gone = map(cgi_name, (*self.remove, *(name for name, _ in self.set)))
        object.__setattr__(self, "_gone", frozenset(gone))

    def apply(self, headers: Headers) -> Headers:
        """The fields as they go on; C{headers} stays as it is."""
        return [*self.trailers(headers), *self.set, *self.add]

    def trailers(self, trailers: Headers) -> Headers:
        """What is left of C{trailers}, to which nothing is added."""
        gone = self._gone
        return [pair for pair in trailers if cgi_name(pair[0]) not in gone] if gone else trailers


def header_rules(
    remove: Iterable[str],
    set_: Iterable[tuple[str, str]],
    add: Iterable[tuple[str, str]],
    *,
    of_request: bool,
) -> HeaderRules:
    """
    The rules of what an operator wrote.

    @raise HeaderRuleError: what is no field, or one that is the proxy's.
    """
    removed = frozenset(_name(name, of_request).lower() for name in remove)
    fixed = tuple((_name(name, of_request), _value(name, value)) for name, value in set_)
    added = tuple((_name(name, of_request), _value(name, value)) for name, value in add)
    if len(removed) + len(fixed) + len(added) > MAX_FIELDS:
        raise HeaderRuleError(f"at most {MAX_FIELDS} fields")
    return HeaderRules(removed, fixed, added)


def _name(name: str, of_request: bool) -> bytes:
    encoded = name.encode("utf-8")
    if not encoded or encoded.translate(None, TOKEN):
        raise HeaderRuleError(f"{name!r} is not a field name")
    # What CGI or WSGI cannot tell from a field is that field.
    plain = cgi_name(encoded)
    if plain in (_OF_REQUESTS if of_request else _OF_BOTH) or (
        of_request and plain.startswith(FORWARDING_PREFIX)
    ):
        raise HeaderRuleError(f"{name}: this field is set by the proxy alone")
    return encoded


def _value(name: str, value: str) -> bytes:
    encoded = value.encode("utf-8")
    if encoded.translate(None, FIELD_VALUE) or encoded.strip(b" \t") != encoded:
        raise HeaderRuleError(f"the value of {name} holds what may not stand there")
    if len(encoded) > MAX_VALUE:
        raise HeaderRuleError(f"the value of {name} has more than {MAX_VALUE} bytes")
    return encoded
