"""What is said of a key that its table does not have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def nearest_hint(key: str, known: Iterable[str]) -> str:
    """C{; did you mean 'max-target'?}, or nothing where none that is C{known} is near."""
    from difflib import get_close_matches

    close = get_close_matches(key, known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def unknown_key(key: str, known: Iterable[str], later: Mapping[str, str], table: str) -> str:
    """
    The reason for a person.

    @param later: keys that later versions will know, and what there is until then.
    @param table: as it stands in the file, such as C{[[site]]}.
    """
    if key in later:
        return f"{key} is not known to this version yet: {later[key]}"
    return f"unknown key {key!r} in {table}{nearest_hint(key, known)}"
