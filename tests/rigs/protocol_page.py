"""docs/protocol.md as tests read it: its sections, tables, types and example frames."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from subproxy.wire import limits
from subproxy.wire.states import (
    Role,
)
from tests.rigs.paths import ROOT

DOCUMENT = (ROOT / "docs" / "protocol.md").read_text()
ROLES = {"guest": Role.GUEST, "proxy": Role.PROXY}
DIRECTIONS = {
    "guest → proxy": {Role.GUEST},
    "proxy → guest": {Role.PROXY},
    "both": {Role.GUEST, Role.PROXY},
}


def examples() -> Iterator[tuple[str, bytes, Any]]:
    """Sender (or nothing), bytes and JSON of each example."""
    for sender, block in re.findall(r"<!-- frame ?(\w*) -->\n\n((?:    .*\n)+)", DOCUMENT):
        lines = [line[4:] for line in block.splitlines()]
        # The last line is the JSON; the bytes may have line feeds of their own.
        yield sender, "\n".join(lines[:-1]).encode(), json.loads(lines[-1])


def section(title: str) -> str:
    """What stands under that heading, to the next one of its level or above."""
    heading = re.search(rf"^(#+) {re.escape(title)}$", DOCUMENT, re.MULTILINE)
    assert heading, title
    rest = DOCUMENT[heading.end() :]
    return re.split(rf"^#{{1,{len(heading[1])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str, *header: str) -> list[list[str]]:
    """The rows of the first table in C{text} with that header."""
    head = "| " + " | ".join(header) + " |\n"
    assert head in text, header
    table = text[text.index(head) + len(head) :].split("\n\n", maxsplit=1)[0]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in table.splitlines()[1:]
    ]


def code(text: str) -> list[str]:
    """What stands between back-quotes in C{text}."""
    return re.findall(r"`([^`]+)`", text)


def number(text: str) -> int:
    """The first number of C{text}."""
    found = re.search("2\\^(\\d+) \u2212 1|[\\d,]+", text)
    assert found, text
    return 2 ** int(found[1]) - 1 if found[1] else int(found[0].replace(",", ""))


KINDS = ("integer", "byte string", "boolean", "list", "dictionary")


def value_of(kind: str, size: int) -> Any:
    """A value of that type, and of that size or value."""
    match kind:
        case "integer":
            return size
        case "byte string":
            return b"x" * size
        case "list":
            return [b"x"] * size
        case "dictionary":
            return {b"host": b"x", b"version": b"x"}
    return True


def value_range(type_: str) -> tuple[str, int, int]:
    """What the page says of a value: its type, and its least and greatest size or value."""
    kind, _, rest = type_.replace(" from ", ", from ").partition(", ")
    if rest.startswith("of at most "):
        return kind, 0, number(rest)
    if rest.startswith("from "):
        return kind, number(rest), limits.MAX_NUMBER
    low, _, high = rest.partition(" to ")
    if low:
        return kind, number(low), number(high or low)
    return kind, 0, limits.MAX_REASON if kind == "byte string" else limits.MAX_NUMBER
