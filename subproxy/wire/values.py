"""
Classes of fields whose making costs a start of the process little.

C{dataclass} writes the source of each method of a class, and compiles it when the class is made: a
third of a millisecond for a frozen one, of which a start makes a hundred. Of what is made here that
is so for C{__init__} alone. Two are equal, hashed and shown by functions that all classes share,
and that nobody sets a field of a L{value_class} is checked by mypy, not by each object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[T], T]:
        """What is there since Python 3.11, and tells type checkers alone."""
        return lambda decorator: decorator


T = TypeVar("T", bound=type)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value_class(made: T) -> T:
    """
    A class decorator: C{dataclass(frozen=True, slots=True)}, but see above.

    C{fields}, C{replace} and C{asdict} of C{dataclasses} work as with any other. Methods that the
    class has of its own stay; fields with C{compare=False} or C{repr=False} are left out.
    """
    return _finished(made, True, _hash)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def mixed_value_class(made: T) -> T:
    """The same without slots, for a class that is one of several bases, or has more than fields."""
    return _finished(made, False, _hash)


@dataclass_transform(field_specifiers=(field,))
def record_class(made: T) -> T:
    """A class decorator: C{dataclass(slots=True)}, whose fields may be set; it has no hash."""
    return _finished(made, True, None)


def _finished(made: T, slots: bool, hashed: Callable[[Any], int] | None) -> T:
    own = made.__dict__
    finished: Any = dataclass(eq=False, repr=False, slots=slots)(made)
    if "__repr__" not in own:
        finished.__repr__ = _repr
    if "__eq__" not in own:
        names = [name for name, each in finished.__dataclass_fields__.items() if each.compare]
        # Of one name the getter gives no tuple, which compares and is hashed as well.
        finished.__compared__ = attrgetter(*names) if names else staticmethod(_nothing)
        finished.__eq__ = _equal
        if "__hash__" not in own:
            finished.__hash__ = hashed
    done: T = finished
    return done


def _nothing(_: object) -> tuple[()]:
    return ()


def _equal(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    compared = self.__compared__
    return compared(self) == compared(other)


def _hash(self: Any) -> int:
    return hash(self.__compared__(self))


def _repr(self: Any) -> str:
    shown = (
        f"{name}={getattr(self, name)!r}"
        for name, each in self.__dataclass_fields__.items()
        if each.repr
    )
    return f"{self.__class__.__qualname__}({', '.join(shown)})"
