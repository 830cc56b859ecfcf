"""
The file with the users of a site, as C{subproxy password} and C{htpasswd -B} write it: a name and
a bcrypt hash a line.

bcrypt, since it is what the tools of other servers write; kept by the Python Cryptographic
Authority, whose implementation lets other threads run while it computes.
"""

from __future__ import annotations

import os
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
    return parse_users(read_file(path, MAX_FILE, UsersFileError), path)


def parse_users(data: bytes, path: str) -> SiteUsers:
    """
    The users that C{data} are.

    @param path: of the file, for messages.
    @raise UsersFileError: there is none in it, or something in it is no user.
    """
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


def name_fault(name: bytes) -> str | None:
    """Why that is no name of a user; None: it is one."""
    if not name or name.strip() != name or name.startswith(b"#"):
        return "a name of a user has neither spaces around it nor # before it"
    if b":" in name or _CONTROL.search(name):
        return "a name of a user has no colon and no control characters"
    return None


def changed_users(path: str, name: bytes, hashed: bytes | None) -> tuple[bytes, bool]:
    """
    What the file has to hold that a user has another hash, or is there no more, and whether that
    user was there. Comments, and the order of others, stay. A file that is not there is empty.

    @raise UsersFileError: it can't be read, is none, or has nobody left in it.
    """
    data = b""
    if os.path.lexists(path):
        data = read_file(path, MAX_FILE, UsersFileError)
        parse_users(data, path)
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    before = [number for number, line in enumerate(lines) if _name(line) == name]
    if hashed is None:
        if not before:
            raise UsersFileError(f"{path}: there is no such user")
        del lines[before[0]]
        if not any(map(_name, lines)):
            raise UsersFileError(f"{path}: nobody would be left in it")
    elif before:
        lines[before[0]] = name + b":" + hashed
    else:
        lines.append(name + b":" + hashed)
    content = b"".join(line + b"\n" for line in lines)
    if len(content) > MAX_FILE:
        raise UsersFileError(f"{path} would be longer than {MAX_FILE} bytes")
    parse_users(content, path)
    return content, bool(before)


def _name(line: bytes) -> bytes | None:
    line = line.strip()
    return None if line.startswith(b"#") else line.partition(b":")[0]
