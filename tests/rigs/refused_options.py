"""A command line that is refused."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence


def refused(parse: Callable[[Sequence[str]], object], *arguments: str) -> str:
    """The last line that C{parse} prints of what it refuses with status 2."""
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr):
            parse(arguments)
    except SystemExit as error:
        if error.code == 2:
            return stderr.getvalue().splitlines()[-1]
    raise AssertionError(f"it was not refused: {arguments}")
