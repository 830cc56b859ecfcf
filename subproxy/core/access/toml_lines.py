"""Where the tables and keys of a TOML document are: tomllib keeps no positions.

A scan, not a parser: it reads documents that tomllib has accepted, and knows headers and keys
at the beginning of a line; of a table in a table, only where it begins. Whatever else is asked for
is where its table is.
"""

from __future__ import annotations

import re
from typing import Any, Final

_HEADER: Final = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_-]+)\s*\]\]?\s*(?:#.*)?$")
_DEEPER: Final = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_-]+)\s*\.\s*([A-Za-z0-9_-]+)")
_NAME: Final = r"([\"']?)([A-Za-z0-9_-]+)\%d\s*"
_KEY: Final = re.compile(rf"\s*{_NAME % 1}(?:\.\s*{_NAME % 3})?=")
_POSITION: Final = re.compile(r"at line (\d+), column (\d+)")


def load_toml(text: str) -> dict[str, Any]:
    """
    What the document says.

    @raise ValueError: it is no TOML.
    @raise RecursionError: it is nested too deep.
    """
    # Imported here: a proxy without a file need not spend it.
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib
    document: dict[str, Any] = tomllib.loads(text)
    return document


class TomlLines:
    """The lines of a document, counted from 1.

    A table is asked for by its name and, where it is an array of tables, its index; the top of
    the document is the table C{""}.
    """

    __slots__ = ("_keys", "_lines", "_tables")

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._tables: dict[tuple[str, int], int] = {}
        self._keys: dict[tuple[str, int, str], int] = {}
        counts: dict[str, int] = {}
        table = ("", 0)
        quote = ""
        for number, line in enumerate(self._lines, 1):
            if not quote:
                if header := _HEADER.match(line):
                    name = header[1]
                    table = name, counts.get(name, 0)
                    counts[name] = table[1] + 1
                    self._tables[table] = number
                elif deeper := _DEEPER.match(line):
                    # C{[site.headers]} is of the last site, and what stands below is not.
                    self._keys.setdefault(
                        (deeper[1], max(0, counts.get(deeper[1], 0) - 1), deeper[2]), number
                    )
                    table = line.strip(), number
                elif key := _KEY.match(line):
                    self._keys.setdefault((*table, key[2]), number)
                    if key[4] and not table[0]:
                        self._keys.setdefault((key[2], 0, key[4]), number)
            quote = _open_quote(line, quote)

    def table(self, name: str, index: int = 0) -> int:
        """Return the line of the header of a table."""
        return self._tables.get((name, index)) or self.key(name, "", 0)

    def key(self, key: str, name: str, index: int = 0) -> int:
        """Return the line of C{key} in a table, or where that table is."""
        at = (name, index, key)
        if at in self._keys:
            return self._keys[at]
        return self._tables.get((name, index)) or self._keys.get(("", 0, name), 1)

    def column(self, line: int) -> int:
        """Return the column, from 1, at which C{line} begins but for its indentation."""
        text = self._lines[line - 1] if 0 < line <= len(self._lines) else ""
        return len(text) - len(text.lstrip()) + 1


def error_line(message: str, text: str) -> int:
    """Return the line that a message of tomllib speaks of; it names none for the end."""
    found = _POSITION.search(message)
    return int(found[1]) if found else text.rstrip("\n").count("\n") + 1


def error_column(message: str) -> int:
    """Return the column that a message of tomllib speaks of, 1 if it names none."""
    found = _POSITION.search(message)
    return int(found[2]) if found else 1


def _open_quote(line: str, quote: str) -> str:
    """Return which multi-line quote is open after C{line}, where C{quote} is before it."""
    while True:
        if quote:
            end = line.find(quote)
            if end < 0:
                return quote
            line = line[end + 3 :]
        line = _from_quote(line)
        quote, line = line[:3], line[3:]
        if not quote:
            return ""


def _from_quote(line: str) -> str:
    """Return C{line} from its first multi-line quote on, nothing if it has none."""
    at = 0
    while at < len(line) and line[at] != "#":
        char = line[at]
        if line.startswith(('"""', "'''"), at):
            return line[at:]
        at += 1
        if char in "\"'":
            while at < len(line) and line[at] != char:
                at += 2 if line[at] == "\\" and char == '"' else 1
            at += 1
    return ""
