"""Enumerations of states, for where each request asks for them many times."""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

E = TypeVar("E", bound=Enum)


def fast_enum(enum: type[E]) -> type[E]:
    """
    Let the members of C{enum} be as cheap as other attributes and keys: a class decorator.

    Python 3.11 finds C{State.IDLE} through a descriptor, which costs ten times as much as an
    attribute, and the hash of a member is Python code that costs a microsecond a request. Names
    and identities of the members say the same.
    """
    for name, member in enum.__members__.items():
        type.__setattr__(enum, name, member)
    type.__setattr__(enum, "__hash__", object.__hash__)
    return enum
