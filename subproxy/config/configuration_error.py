"""What is wrong with a configuration file, and where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from subproxy.core.printable import printable


class Problem(NamedTuple):
    """
    What is wrong, and where.

    @ivar line: from 1; 0: it is the file as a whole.
    @ivar column: from 1.
    """

    line: int
    column: int
    text: str

    def of(self, path: str) -> str:
        """The line for a person, of the file C{path}."""
        where = f"{path}:{self.line}:{self.column}" if self.line else path
        return printable(f"{where}: {self.text}")


class ConfigurationError(Exception):
    """
    A configuration that is refused as a whole.

    @ivar path: the file.
    @ivar problems: all that is wrong, in the order of the file.
    """

    def __init__(self, path: str, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = sorted(problems)
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """A line for each problem."""
        return [each.of(self.path) for each in self.problems]
