"""One setting: its names, what its text may be, its default, and what a person is told of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from subproxy.frontend import limits

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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Count:
    """A whole number within bounds, which are among its values."""

    low: int
    high: int
    unit: str

    def parse(self, text: str) -> int:
        """See L{SettingKind}."""
        return int(Number(self.low, self.high, self.unit).parse(text))


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Text(Generic[T]):
    """
    Any text that a function takes.

    @ivar read: makes the value; raises C{ValueError}.
    @ivar repeats: it says in its errors what it was given.
    """

    read: Callable[[str], T]
    repeats: bool = False
    unit: str = ""

    def parse(self, text: str) -> T:
        """See L{SettingKind}."""
        return self.read(text)


@dataclass(frozen=True, slots=True)
class Flag:
    """Yes, if it is said."""

    unit: str = ""

    def parse(self, text: str) -> bool:
        """See L{SettingKind}."""
        if text not in ("true", "false"):
            raise ValueError("true or false")
        return text == "true"


@dataclass(frozen=True, slots=True)
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
    @ivar reload: SIGHUP reads anew what it names. What is not read anew needs a hand-over.
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
