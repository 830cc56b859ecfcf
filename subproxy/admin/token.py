"""
The token of the admin listener: a file that its owner alone may read, made at the first start.

Who may read the file may steer the proxy. Without Twisted: the command reads it, too.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import tempfile
from collections.abc import Collection, Mapping

SYSTEM_FILE = "/run/subproxy/admin.token"
"""Where root's proxy has it, beside the sockets that it makes by default."""

_NAME = "subproxy/admin.token"
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]{16,}=*")  # RFC 6750 section 2.1
_LONGEST = 4096


class TokenError(Exception):
    """The token can't be had; the text names the file, and says why."""


def default_files(uid: int, environment: Mapping[str, str]) -> list[str]:
    """
    Where a token is looked for, the first that a proxy of that user would make in front.

    @param environment: C{os.environ}.
    """
    own = environment.get("XDG_RUNTIME_DIR") or environment.get("XDG_STATE_HOME")
    if not own:
        own = os.path.join(environment.get("HOME", "/"), ".local", "state")
    files = [SYSTEM_FILE, os.path.join(own, _NAME)]
    return files if uid == 0 else files[::-1]


def read_token(path: str, owners: Collection[int] | None = None) -> bytes:
    """
    The token in a file.

    @param owners: numbers of the users who may have made it; None for anybody.
    @raise FileNotFoundError: there is none.
    @raise TokenError: it can't be read, is no token, somebody else's, or everybody may read it.
    """
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            data = file.read(_LONGEST + 1).strip()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise TokenError(f"{path}: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise TokenError(f"{path}: not a file")
    if owners is not None and found.st_uid not in owners:
        raise TokenError(f"{path}: it belongs to user {found.st_uid}, who so would know it")
    if found.st_mode & 0o007:
        raise TokenError(f"{path}: everybody may read or write it; chmod 600 it")
    if len(data) > _LONGEST or not _TOKEN.fullmatch(data):
        raise TokenError(f"{path}: no token: 16 letters, digits or ._~+/- at least, on one line")
    return data


def obtain_token(path: str, owner: int = -1) -> bytes:
    """
    The token in a file, which is made, of mode 0600, if there is none.

    The folder of the file is made if it is called C{subproxy}, as in the defaults. Two that
    start at once get the same token.

    @param owner: number of the user whose a file that is made is to be.
    @raise TokenError: see L{read_token}; or the file can't be made.
    """
    owners = {0, os.geteuid(), owner}
    try:
        return read_token(path, owners)
    except FileNotFoundError:
        pass
    folder = os.path.dirname(os.path.abspath(path))
    made = ""
    try:
        if os.path.basename(folder) == "subproxy" and not os.path.exists(folder):
            os.makedirs(folder, 0o755)
        descriptor, made = tempfile.mkstemp(prefix=".admin.token.", dir=folder)
        with open(descriptor, "wb") as file:
            file.write(secrets.token_urlsafe(32).encode() + b"\n")
            file.flush()
            os.fchmod(descriptor, 0o600)
            os.fchown(descriptor, owner, -1)
        os.link(made, path)
    except FileExistsError:
        pass  # somebody was quicker
    except OSError as error:
        raise TokenError(f"{path}: it can't be made: {error.strerror}") from None
    finally:
        if made:
            os.unlink(made)
    try:
        return read_token(path, owners)
    except FileNotFoundError:
        raise TokenError(f"{path}: it is gone again") from None
