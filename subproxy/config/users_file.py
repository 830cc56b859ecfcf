"""
The file with the users of a site, as C{htpasswd -B} writes it: a name and a bcrypt hash a line.

bcrypt, since it is what the tools of other servers write; kept by the Python Cryptographic
Authority, whose implementation lets other threads run while it computes.
"""

from __future__ import annotations

import re
from typing import Final

from subproxy.config.site_files import read_file
from subproxy.core.sites.basic_auth import SiteUsers

MAX_FILE: Final = 1 << 20
"""Bytes of the file."""

MAX_COST: Final = 14
"""The exponent of the rounds of a hash: a check of one with 14 takes about a second."""

_HASH: Final = re.compile(rb"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")


class UsersFileError(Exception):
    """The file can't be read, or is none; the text names it and says why."""


def read_users_file(path: str) -> SiteUsers:
    """
    What is in the file.

    @raise UsersFileError: it can't be read, or something in it is no user.
    """
    data = read_file(path, MAX_FILE, UsersFileError)
    users: dict[bytes, bytes] = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        line = line.strip()
        if not line or line.startswith(b"#"):
            continue
        where = f"{path}:{number}"
        name, _, hashed = line.partition(b":")
        found = _HASH.fullmatch(hashed)
        if not name or _CONTROL.search(name) or found is None:
            raise UsersFileError(f"{where}: a name, a colon and a bcrypt hash (htpasswd -B)")
        if not 4 <= int(found[1]) <= MAX_COST:
            raise UsersFileError(f"{where}: a cost of 4 to {MAX_COST} is needed")
        if name in users:
            raise UsersFileError(f"{where}: this user is there already")
        users[name] = hashed
    if not users:
        raise UsersFileError(f"{path}: there is no user in it")
    return SiteUsers(tuple(users.items()))
