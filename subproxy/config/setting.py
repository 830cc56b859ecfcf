"""One setting: its names, what its text may be, its default, and what a person is told of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from subproxy.frontend import limits
from subproxy.wire.values import value_class

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

WORDS = {"seconds": "SECONDS", "bytes": "BYTES", "bytes a second": "BYTES/S"}
"""What C{--help} writes for a number, by its unit."""


class SettingKind(Protocol[T_co]):
    """
    What the values of a setting are.

    @ivar unit: what a number counts; empty for others.
    """

    @property
    def unit(self) -> str:
        """See above."""
        ...

    def parse(self, text: str) -> T_co:
        """
        The value that an operator wrote as C{text}.

        @raise ValueError: it is none; the reason, for a person, without the name of the setting.
        """
        ...

    def text(self, value: object) -> str:
        """
        A value of a configuration file as it is written on a command line.

        @raise ValueError: it is of another type.
        """
        ...

    def schema(self) -> Mapping[str, Any]:
        """What a JSON schema says of a value in a configuration file."""
        ...


def _number_text(value: object) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    raise ValueError("a number is needed, without quotes")


def _whole_text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return repr(value)
    raise ValueError("a whole number is needed, without quotes")


def _string_text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError("a string is needed, in quotes")


@value_class
class Number:
    """A number within bounds, which are among its values."""

    low: float
    high: float
    unit: str

    def parse(self, text: str) -> float:
        """See L{SettingKind}."""
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not self.low <= value <= self.high:
            raise ValueError(f"a number from {self.low:g} to {self.high:g} is needed")
        return value

    def text(self, value: object) -> str:
        """See L{SettingKind}."""
        return _number_text(value)

    def schema(self) -> Mapping[str, Any]:
        """See L{SettingKind}."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}


@value_class
class Count:
    """A whole number within bounds, which are among its values."""

    low: int
    high: int
    unit: str

    def parse(self, text: str) -> int:
        """See L{SettingKind}."""
        value = Number(self.low, self.high, self.unit).parse(text)
        if value != int(value):
            raise ValueError("a whole number is needed")
        return int(value)

    def text(self, value: object) -> str:
        """See L{SettingKind}."""
        return _whole_text(value)

    def schema(self) -> Mapping[str, Any]:
        """See L{SettingKind}."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@value_class
class Processes:
    """How many processes: a whole number, or C{auto} for the cores that this process may use."""

    most: int
    unit: str = ""

    def parse(self, text: str) -> int:
        """See L{SettingKind}."""
        if text == "auto":
            return min(self.most, len(os.sched_getaffinity(0)))
        try:
            return Count(1, self.most, "").parse(text)
        except ValueError as error:
            raise ValueError(f"auto, or {error}") from None

    def text(self, value: object) -> str:
        """See L{SettingKind}."""
        if value == "auto":
            return "auto"
        try:
            return _whole_text(value)
        except ValueError as error:
            raise ValueError(f'"auto", or {error}') from None

    def schema(self) -> Mapping[str, Any]:
        """See L{SettingKind}."""
        return {"anyOf": [{"const": "auto"}, Count(1, self.most, "").schema()]}


@value_class
class HttpLimit:
    """A limit of the frontend, which says itself what it may be."""

    row: limits.Row

    @property
    def unit(self) -> str:
        """That of the limit."""
        return self.row.unit

    def parse(self, text: str) -> float:
        """See L{SettingKind}."""
        try:
            return limits.parse(self.row, text)
        except ValueError:
            raise ValueError(f"a number of {self.unit} is needed") from None

    def text(self, value: object) -> str:
        """See L{SettingKind}."""
        return _whole_text(value) if isinstance(self.row.default, int) else _number_text(value)

    def schema(self) -> Mapping[str, Any]:
        """See L{SettingKind}."""
        kind = "integer" if isinstance(self.row.default, int) else "number"
        return {"type": kind, "minimum": 0, "exclusiveMaximum": 2**63}


@value_class
class Octal:
    """The mode of a file."""

    unit: str = ""

    def parse(self, text: str) -> int:
        """See L{SettingKind}."""
        try:
            mode = int(text, 8)
        except ValueError:
            raise ValueError("not octal") from None
        if not 0 <= mode <= 0o7777:
            raise ValueError("a mode from 0 to 7777 is needed")
        return mode

    def text(self, value: object) -> str:
        """See L{SettingKind}."""
        if isinstance(value, str):
            return value
        # 660 would be 0o1224, and nobody could tell it from that.
        raise ValueError('an octal mode in quotes is needed, such as "660"')

    def schema(self) -> Mapping[str, Any]:
        """See L{SettingKind}."""
        return {"type": "string", "pattern": "^(0o?)?[0-7]{1,4}$"}


@value_class
class Choice:
    """One of a few words."""

    words: Sequence[str]
    unit: str = ""

    def parse(self, text: str) -> str:
        """See L{SettingKind}."""
        if text in self.words:
            return text
        if len(self.words) == 2:
            raise ValueError(" or ".join(self.words))
        raise ValueError(f"one of {', '.join(self.words)}")

    def text(self, value: object) -> str:
        """See L{SettingKind}."""
        return _string_text(value)

    def schema(self) -> Mapping[str, Any]:
        """See L{SettingKind}."""
        return {"enum": list(self.words)}


@value_class
class Text(Generic[T]):
    """
    Any text that a function takes.

    @ivar read: makes the value; raises C{ValueError}.
    @ivar repeats: it says in its errors what it was given.
    @ivar port: it may be a port, which a configuration file has as a number.
    """

    read: Callable[[str], T]
    repeats: bool = False
    unit: str = ""
    port: bool = False

    def parse(self, text: str) -> T:
        """See L{SettingKind}."""
        return self.read(text)

    def text(self, value: object) -> str:
        """See L{SettingKind}."""
        if self.port and isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return _string_text(value)

    def schema(self) -> Mapping[str, Any]:
        """See L{SettingKind}."""
        return {"type": ["string", "integer"], "minimum": 0} if self.port else {"type": "string"}


@value_class
class Flag:
    """Yes, if it is said."""

    unit: str = ""

    def parse(self, text: str) -> bool:
        """See L{SettingKind}."""
        if text not in ("true", "false"):
            raise ValueError("true or false")
        return text == "true"

    def text(self, value: object) -> str:
        """See L{SettingKind}."""
        if isinstance(value, bool):
            return str(value).lower()
        raise ValueError("true or false, without quotes")

    def schema(self) -> Mapping[str, Any]:
        """See L{SettingKind}."""
        return {"type": "boolean"}


@value_class
class Setting:
    """
    One setting.

    @ivar name: the attribute of L{subproxy.config.settings.Settings}, or of its C{http_limits}.
    @ivar kind: what its values are.
    @ivar default: its default, as an operator would write it; None if there is none.
    @ivar help: a sentence or two for a person.
    @ivar group: the heading under which C{--help} has it.
    @ivar section: its table in a configuration file.
    @ivar key: its name there.
    @ivar word: what C{--help} writes for its value; empty for a flag.
    @ivar repeats: it may be said more than once.
    @ivar reload: a reload puts a new value in force. The others need a hand-over.
    @ivar otherwise: what is in force without it, for the reference, where there is no default.
    """

    name: str
    kind: SettingKind[object]
    default: str | None
    help: str
    group: str
    section: str
    key: str
    word: str
    repeats: bool = False
    reload: bool = False
    otherwise: str = "none"

    @property
    def place(self) -> str:
        """Its name in a configuration file, with its section."""
        return f"{self.section}.{self.key}"

    @property
    def option(self) -> str:
        """Its name on the command line, without the dashes in front."""
        if isinstance(self.kind, HttpLimit):
            return self.kind.row.option
        return self.name.replace("_", "-")

    def parse(self, text: str) -> object:
        """
        The value of C{text} on the command line.

        @raise ValueError: it is none: a line for a person that begins with the option.
        """
        try:
            return self.kind.parse(text)
        except ValueError as error:
            told = isinstance(self.kind, Text) and self.kind.repeats
            raise ValueError(f"--{self.option}{'' if told else '=' + text}: {error}") from None

    def read(self, value: object) -> object:
        """
        The value that a configuration file has; what repeats is a list, or one alone.

        @raise ValueError: it is none: a line for a person, without the name of the setting.
        """
        if not self.repeats:
            return self._read_one(value)
        return [self._read_one(each) for each in (value if isinstance(value, list) else [value])]

    def _read_one(self, value: object) -> object:
        text = self.kind.text(value)
        try:
            return self.kind.parse(text)
        except ValueError as error:
            told = not self.repeats or (isinstance(self.kind, Text) and self.kind.repeats)
            raise ValueError(str(error) if told else f"{text}: {error}") from None
