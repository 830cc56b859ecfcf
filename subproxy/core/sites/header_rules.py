"""Fields that an operator sets, adds or removes; which he may not, since they are the proxy's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

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

_OF_BOTH: Final = HOP_BY_HOP | FRAMING | {REQUEST_ID, b"trailer"}
_OF_REQUESTS: Final = _OF_BOTH | FORWARDING | {b"host", b"expect", b"max-forwards"}

MAX_FIELDS: Final = 64
"""Fields that one rule names."""

MAX_VALUE: Final = 4096
"""Bytes of a value."""


class HeaderRuleError(ValueError):
    """A field that no rule may touch, or what is none."""


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """
    What is done to the fields of one message: first removed, then set, then added.

    @ivar remove: names, in lower case.
    @ivar set: fields that stand for all that were of their names.
    @ivar add: fields behind those that are there.
    """

    remove: frozenset[bytes] = frozenset()
    set: tuple[tuple[bytes, bytes], ...] = ()
    add: tuple[tuple[bytes, bytes], ...] = ()

    def apply(self, headers: Headers) -> Headers:
        """The fields as they go on; C{headers} stays as it is."""
        gone = self.remove.union([name.lower() for name, _ in self.set])
        kept = [pair for pair in headers if pair[0].lower() not in gone] if gone else [*headers]
        kept += self.set
        kept += self.add
        return kept


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
    plain = encoded.lower().replace(b"_", b"-")
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
