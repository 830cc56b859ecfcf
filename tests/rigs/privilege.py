"""Folders that nobody may look into: tests run as root, too, who may do everything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def without_privilege(folder: Path) -> Iterator[None]:
    """Nobody may look into C{folder}, and we are not root."""
    user, mode = os.geteuid(), folder.stat().st_mode
    folder.chmod(0)
    try:
        if user == 0:
            os.seteuid(NOBODY)
        yield
    finally:
        os.seteuid(user)
        folder.chmod(mode)
