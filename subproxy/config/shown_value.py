"""A wrong value of a configuration file, as a message repeats it."""

from __future__ import annotations

SHOWN = 60
"""Characters of it."""


def shown_value(value: object) -> str:
    """A value as TOML has it, cut where it is long."""
    try:
        said = str(value).lower() if isinstance(value, bool) else repr(value)
    except ValueError:  # a number of thousands of digits
        said = "..."
    return said if len(said) <= SHOWN else f"{said[: SHOWN - 3]}..."
