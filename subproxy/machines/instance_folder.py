"""The folder of an instance."""

from __future__ import annotations

import os
from pathlib import Path

from subproxy.machines.privileges import account


def make_folder(folder: Path, user: str) -> None:
    """
    Make the folder of an instance, for its user alone.

    @raise OSError: it can't be made.
    """
    folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if user:
        found = account(user)
        os.chown(folder, found.pw_uid, found.pw_gid)
