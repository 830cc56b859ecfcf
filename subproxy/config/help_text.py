"""What C{twistd subproxy --help} prints: options in groups, their defaults, an example."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Mapping, Sequence

DISTRIBUTION = "subscription-proxy-vsock"

TWISTD = "twistd -n subproxy"

EXAMPLE = f"""\
Example:
  {TWISTD} --http=8888 --vsock='/run/vms/*.sock' --policy=policy.toml
"""

Group = tuple[str, Sequence[tuple[str, str]]]
"""A heading, and the options under it, each with the word for its value (empty: it takes none)."""

INDENT = 2
COLUMN = 28
"""Where the texts begin."""


def release(distribution: str = DISTRIBUTION) -> str:
    """The version of what is installed; C{unknown} for a copy that never was."""
    from importlib.metadata import PackageNotFoundError, version  # slow, and seldom asked for

    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


def options_text(
    groups: Sequence[Group],
    texts: Mapping[str, str],
    defaults: Mapping[str, object],
    width: int,
) -> str:
    """
    All options, group by group.

    @param texts: what each does.
    @param defaults: of those that have one.
    """
    lines: list[str] = []
    for heading, options in groups:
        lines += ["", f"{heading}:"]
        for option, value in options:
            text = " ".join(texts[option].split())
            default = defaults.get(option)
            if value and default not in (None, ""):
                text = f"{text.removesuffix('.')} (default: {default})."
            lines += _paragraph(f"--{option}{'=' if value else ''}{value}", text, width)
    return "\n".join(lines[1:]) + "\n"


def _paragraph(option: str, text: str, width: int) -> list[str]:
    begin = f"{'':{INDENT}}{option}"
    folded = textwrap.wrap(text, max(width - COLUMN, 24), break_on_hyphens=False)
    if len(begin) + 2 > COLUMN:
        return [begin, *(f"{'':{COLUMN}}{line}" for line in folded)]
    return [f"{begin:{COLUMN}}{folded[0]}", *(f"{'':{COLUMN}}{line}" for line in folded[1:])]


def tell(text: str) -> None:
    """Print it for who reads along; one that has enough, such as head, is no fault."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Python would try again at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
