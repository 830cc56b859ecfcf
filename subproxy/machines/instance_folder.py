"""The folder of an instance."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def make_folder(folder: Path, user: str) -> None:
    """
    Make the folder of an instance, for its user alone.

    @raise OSError: it can't be made.
    """
    folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if user:
        try:
            found = pwd.getpwnam(user)
        except KeyError:
            raise FileNotFoundError(2, "no such user", user) from None
        os.chown(folder, found.pw_uid, found.pw_gid)
